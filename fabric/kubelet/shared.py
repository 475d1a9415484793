"""Caches that the kubelets of one process share: of its runtime's pods, of Nodes, of ConfigMaps and Secrets.

One event stream of the runtime, one watch of Nodes and one read of a ConfigMap serve all nodes of a worker.
"""

from __future__ import annotations

import asyncio

from fabric.api.kinds import NODE
from fabric.control.client import Client
from fabric.control.informer import Informer
from fabric.kubelet.podcache import PodCache
from fabric.kubelet.sources import SourceCache
from fabric.runtime.contract import Runtime


class SharedCaches:
    """The caches of one process; `run` must be running."""

    def __init__(self, client: Client, runtime: Runtime) -> None:
        self.pods = PodCache(runtime)
        self.nodes = Informer(client, NODE)
        self.sources = SourceCache(client)

    async def run(self) -> None:
        """Follow the runtime and the Nodes for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.pods.run())
            tasks.create_task(self.nodes.run())
