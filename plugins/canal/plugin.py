"""The Canal plugin: flannel's agent without its bridge, and Calico's without its routes, on each node.

They meet where they do on a real node: flanneld writes /run/flannel/subnet.env, from whose subnet Calico's
CNI takes the pods' addresses. A packet leaves its pod over Calico's veth, and the node over Flannel's device.
Both plugins are found by their entry points, as a topology finds this one.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fabric.api.objects import Object, annotations_of
from fabric.control.client import Client
from fabric.netstate.objects import IPAddress, NetState
from fabric.plugin import registry
from fabric.plugin.contract import (
    AgentStatus,
    Attachment,
    BgpSpeaker,
    ClusterContext,
    Component,
    NetworkConfig,
    NodeAgent,
    NodeContext,
    NodeFacts,
    PodRef,
)
from fabric.plugin.policies import Evaluator, Judge, World
from fabric.plugin.served import ServedKind
from fabric.store.port import Store

SUBNET_FILE = "/run/flannel/subnet.env"
_CALICO_OPTIONS = ("resources",)
_BACKEND_TYPE = "flannel.alpha.coreos.com/backend-type"
_VTEP = "flannel.1"


class CanalPlugin:
    """Network plugin `canal`: `backend` and options are Flannel's; `resources` are Calico's."""

    def __init__(self) -> None:
        self._flannel = registry.load("flannel")
        self._calico = registry.load("calico")

    @property
    def name(self) -> str:
        return "canal"

    @property
    def node_folders(self) -> Sequence[str]:
        return (*self._flannel.node_folders, *self._calico.node_folders)

    @property
    def enforces_policies(self) -> bool:
        return self._calico.enforces_policies

    def problems(self, config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Sequence[tuple[str, str]]:
        flannel, calico = _flannels(config), _calicos(config)
        return (*self._flannel.problems(flannel, nodes), *self._calico.problems(calico, nodes))

    def requirements(self, config: NetworkConfig) -> frozenset[str]:
        return self._flannel.requirements(_flannels(config)) | self._calico.requirements(_calicos(config))

    def bgp_speakers(self, config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Mapping[str, BgpSpeaker]:
        return self._calico.bgp_speakers(_calicos(config), nodes)

    async def prepare(self, config: NetworkConfig, store: Store, client: Client) -> None:
        await self._flannel.prepare(_flannels(config), store, client)
        await self._calico.prepare(_calicos(config), store, client)

    async def collect_garbage(self, config: NetworkConfig, nodes: Sequence[NodeFacts], store: Store) -> None:
        await self._flannel.collect_garbage(_flannels(config), nodes, store)
        await self._calico.collect_garbage(_calicos(config), nodes, store)

    def agent(self, context: NodeContext) -> NodeAgent:
        flannel = replace(context, config=_flannels(context.config))
        calico = replace(context, config=_calicos(context.config))
        return CanalAgent(self._flannel.agent(flannel), self._calico.agent(calico))

    def controllers(self, context: ClusterContext) -> Sequence[Component]:
        flannel = replace(context, config=_flannels(context.config))
        calico = replace(context, config=_calicos(context.config))
        return (*self._flannel.controllers(flannel), *self._calico.controllers(calico))

    def preview(self, config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Mapping[str, NetState]:
        return self._flannel.preview(_flannels(config), nodes)

    def custom_resources(self, config: NetworkConfig) -> Sequence[ServedKind]:
        return self._calico.custom_resources(_calicos(config))

    def resources(self, config: NetworkConfig) -> Mapping[str, Object]:
        return self._calico.resources(_calicos(config))

    def policy_evaluator(self, world: World) -> Evaluator | None:
        """Calico's, with the tunnels of Flannel between the nodes."""
        if not isinstance(self._calico, Judge):
            return None
        tunnels = {it["metadata"]["name"]: _tunnels(it) for it in world.of_kind("Node")}
        endpoints = (
            replace(it, tunnels=tunnels.get(it.name, {})) if it.kind == "node" else it
            for it in world.endpoints
        )
        return self._calico.policy_evaluator(replace(world, endpoints=tuple(endpoints)))


class CanalAgent:
    """The agent of a node: the network is Flannel's, pods are Calico's."""

    def __init__(self, network: NodeAgent, endpoints: NodeAgent) -> None:
        self._network = network
        self._endpoints = endpoints

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._network.run())
            tasks.create_task(self._endpoints.run())

    def status(self) -> AgentStatus:
        """Up when both are, with Flannel's reason; what is not up is told first."""
        network, endpoints = self._network.status(), self._endpoints.status()
        late = [it for it in (network, endpoints) if not it.ready]
        if late:
            return replace(late[0], reason="CanalIsNotUp")
        message = "; ".join((network.message, endpoints.message))
        details = {**endpoints.details, **network.details}
        return AgentStatus(True, network.reason, message, details, network.pod_cidrs)

    def powered_on(self) -> None:
        self._network.powered_on()
        self._endpoints.powered_on()

    async def add(self, pod: PodRef) -> Attachment:
        return await self._endpoints.add(pod)

    async def check(self, pod: PodRef) -> Attachment | None:
        return await self._endpoints.check(pod)

    async def until_programmed(self, pod: PodRef) -> None:
        await self._endpoints.until_programmed(pod)

    async def delete(self, pod: PodRef) -> None:
        await self._endpoints.delete(pod)

    async def collect(self, alive: frozenset[str]) -> None:
        await self._endpoints.collect(alive)


def _tunnels(node: Object) -> Mapping[str, IPAddress]:
    """The VTEP of a node: the first address of its subnet, where Flannel's backend is VXLAN."""
    if annotations_of(node).get(_BACKEND_TYPE) != "vxlan":
        return {}
    subnets = map(ipaddress.ip_network, (node.get("spec") or {}).get("podCIDRs") or ())
    address = next((it.network_address for it in subnets if it.version == 4), None)
    return {_VTEP: address} if address is not None else {}


def _flannels(config: NetworkConfig) -> NetworkConfig:
    options: dict[str, Any] = {
        key: value for key, value in config.options.items() if key not in _CALICO_OPTIONS
    }
    return replace(config, options=options | {"endpoints": False})


def _calicos(config: NetworkConfig) -> NetworkConfig:
    options: dict[str, Any] = {key: config.options[key] for key in _CALICO_OPTIONS if key in config.options}
    return replace(config, backend="none", options=options | {"subnetFile": SUBNET_FILE})
