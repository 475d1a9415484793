"""calicoctl on a store in memory: what was typed, and what it said."""

from __future__ import annotations

import io
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from calico.calicoctl.command import Calicoctl
from calico.resources import datastore
from calico.resources.endpoints import ClusterInformation
from fabric.plugin.commands import Cluster, CommandContext
from fabric.plugin.contract import NetworkConfig
from fabric.store.memory import MemoryStore
from fabric.store.port import Store
from support.calico_ipam import noon_clock
from support.memory_api import MemoryApi

CONFIG = NetworkConfig((ip_network("10.244.0.0/16"),), (ip_network("10.96.0.0/16"),))


@dataclass(frozen=True)
class Answer:
    """What one call said."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return self.out + (f"! {self.err}" if self.err else "")


class Ctl:
    """calicoctl, and the cluster that it works on."""

    def __init__(self, store: Store | None = None, folder: Path = Path("/nowhere")) -> None:
        self.store = store or MemoryStore()
        self.api = MemoryApi()
        self.clock = noon_clock()
        self._folder = folder
        self.asked_for_a_cluster = False

    async def began(self, **spec: Any) -> Ctl:
        """Write what tells a cluster with Calico."""
        spec = {"cluster_guid": "abc", "cluster_type": "k8s,bgp", "datastore_ready": True} | spec
        information = ClusterInformation.named("default", calico_version="v3", **spec)
        await datastore.create(self.store, information, self.clock)
        return self

    async def __call__(self, *argv: str, stdin: str = "") -> Answer:
        out, err = io.StringIO(), io.StringIO()
        context = CommandContext(argv, io.StringIO(stdin), out, err, self.clock, self._cluster)
        code = await Calicoctl().run(context)
        return Answer(code, out.getvalue(), err.getvalue())

    async def does(self, *argv: str, stdin: str = "") -> str:
        """What a call prints that must succeed."""
        answer = await self(*argv, stdin=stdin)
        assert (answer.code, answer.err) == (0, ""), answer
        return answer.out

    async def refuses(self, *argv: str, stdin: str = "") -> str:
        """What a call says on the error stream that must fail, and prints nothing else."""
        answer = await self(*argv, stdin=stdin)
        assert (answer.code, answer.out) == (1, ""), answer
        assert answer.err.endswith("\n")
        return answer.err[:-1]

    def _cluster(self) -> Cluster:
        self.asked_for_a_cluster = True
        return Cluster("lab", "calico", CONFIG, self.store, self.api, lambda node: self._folder / node)
