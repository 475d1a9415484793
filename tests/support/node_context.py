"""A node's context with caches of its own, as in a process that has one node."""

from __future__ import annotations

from pathlib import Path

from fabric.control.client import Client
from fabric.control.informers import Informers
from fabric.netstate.port import Host
from fabric.plugin.contract import Daemons, NetworkConfig, NodeContext, NodeFacts
from fabric.plugin.reflector import Reflectors
from fabric.store.port import Store


def node_context(
    facts: NodeFacts,
    config: NetworkConfig,
    host: Host,
    root: Path,
    store: Store,
    client: Client,
    daemons: Daemons,
    reflectors: Reflectors | None = None,
    informers: Informers | None = None,
) -> NodeContext:
    """Return the context; its caches are run by whoever hands them in."""
    caches = informers or Informers(client), reflectors or Reflectors(store)
    return NodeContext(facts, config, host, root, store, client, daemons, *caches)
