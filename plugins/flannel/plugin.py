"""The Flannel plugin, as fabric finds it: what a topology may say, and an agent for each node."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from fabric.api.objects import Object
from fabric.control.client import Client
from fabric.errors import BadInput, FabricError, Problem
from fabric.netstate.objects import IPNetwork, NetState
from fabric.plugin.contract import (
    BgpSpeaker,
    ClusterContext,
    Component,
    NetworkConfig,
    NodeAgent,
    NodeContext,
    NodeFacts,
)
from fabric.plugin.served import ServedKind
from fabric.store.port import ModRevision, Put, Store
from flannel import garbage_collection, node_state, topology_check
from flannel.agent import FlannelAgent
from flannel.backend import Backend, Site, desired_state, public_ips
from flannel.backends import BACKENDS, OPTIONS
from flannel.lease_book import FOLLOWED, LeaseBook
from flannel.leases import CONFIG_KEY, Lease, compact
from flannel.net_conf import NetConf, attaches_pods, check, document

WRITE_TRIES_MAX = 10
TOPOLOGY_KEY = "/fabric/flannel/net-conf"
"""The net-conf.json that the topology asked for last, by which a change of the topology is known."""


class FlannelPlugin:
    """Network plugin `flannel`."""

    def __init__(self) -> None:
        self._book: LeaseBook | None = None
        """All agents of the process read one; the first one opens it."""

    @property
    def name(self) -> str:
        return "flannel"

    @property
    def node_folders(self) -> Sequence[str]:
        return ()

    @property
    def enforces_policies(self) -> bool:
        return False

    def problems(self, config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Sequence[tuple[str, str]]:
        return topology_check.problems(config, nodes)

    def bgp_speakers(self, config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Mapping[str, BgpSpeaker]:
        return {}

    def requirements(self, config: NetworkConfig) -> frozenset[str]:
        return BACKENDS[_conf(config).backend].features

    async def prepare(self, config: NetworkConfig, store: Store, client: Client) -> None:
        """Write net-conf.json when there is none, or when the topology says something else than last time.

        What somebody edited in the store stays until then.
        """
        doc = document(config, OPTIONS)
        text = compact(doc).encode()
        for _ in range(WRITE_TRIES_MAX):
            there, last = await store.get(CONFIG_KEY), await store.get(TOPOLOGY_KEY)
            if there is not None and last is not None and _same(last.value, doc):
                return
            guards = [ModRevision(CONFIG_KEY, there.mod_revision if there else 0)]
            guards += [ModRevision(TOPOLOGY_KEY, last.mod_revision if last else 0)]
            puts = [Put(TOPOLOGY_KEY, text), *([] if there and not last else [Put(CONFIG_KEY, text)])]
            if (await store.txn(guards, puts)).succeeded:
                return
        raise FabricError(f"{CONFIG_KEY} changes faster than it can be written: who else writes it?")

    async def collect_garbage(self, config: NetworkConfig, nodes: Sequence[NodeFacts], store: Store) -> None:
        await garbage_collection.collect_garbage(nodes, store)

    def agent(self, context: NodeContext) -> NodeAgent:
        if self._book is None:
            self._book = LeaseBook(context.reflectors.of(FOLLOWED))
        return FlannelAgent(context, self._book)

    def controllers(self, context: ClusterContext) -> Sequence[Component]:
        return ()

    def preview(self, config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Mapping[str, NetState]:
        """Preview nodes that take the lowest free subnet each, in order; VTEPs' MACs are numbered."""
        conf = _conf(config)
        backend = BACKENDS[conf.backend]
        columns = [range_.subnets() for range_ in conf.ranges]
        leases = {
            facts.name: _guess(conf, backend, facts, number, tuple(next(column) for column in columns))
            for number, facts in enumerate(nodes, start=1)
        }
        states = {}
        for facts in nodes:
            site = Site(facts, conf, leases[facts.name])
            mtu = config.mtu or backend.mtu(conf, facts)
            own = node_state.own_state(backend, site, mtu, endpoints=attaches_pods(config))
            states[facts.name] = own | desired_state(backend, site, mtu, leases.values())
        return states

    def custom_resources(self, config: NetworkConfig) -> Sequence[ServedKind]:
        return ()

    def resources(self, config: NetworkConfig) -> Mapping[str, Object]:
        return {}


def _conf(config: NetworkConfig) -> NetConf:
    conf, problems = check(document(config, OPTIONS), OPTIONS)
    if conf is None:
        raise BadInput(*(Problem(path, what) for path, what in problems))
    return conf


def _guess(
    conf: NetConf, backend: Backend, facts: NodeFacts, number: int, subnets: tuple[IPNetwork, ...]
) -> Lease:
    mac = ":".join(f"{byte:02x}" for byte in (0x02, *number.to_bytes(5, "big")))
    public = public_ips(conf, facts)
    before = Lease(subnets, public, backend.type, (compact({"VtepMAC": mac}),) * len(subnets))
    return Lease(subnets, public, backend.type, backend.data(conf, before, random.Random(number)))


def _same(value: bytes, doc: dict[str, Any]) -> bool:
    try:
        return bool(json.loads(value) == doc)
    except ValueError:
        return False
