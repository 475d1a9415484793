"""The Calico plugin, as fabric finds it: what a topology may say, and an agent for each node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from calico import bootstrap, node_files, served, topology_check
from calico.agent import CalicoAgent
from calico.calc.feed import Feed
from calico.felix.node_state import preview
from calico.kube_controllers.controllers import KubeControllers
from calico.kube_labels import KubeLabels
from calico.node_controller import NodeController
from calico.policy.evaluator import CalicoEvaluator
from calico.policy_calculation import PolicyCalculation
from calico.preview import assumed_snapshot
from calico.resources.felix import DEFAULTS
from calico.settings import Settings, settings
from calico.syncer import PREFIX, Syncer
from fabric.api.kinds import NODE
from fabric.api.objects import Object
from fabric.control.client import Client
from fabric.control.clock import LoopClock
from fabric.errors import BadInput, Problem
from fabric.netstate.objects import NetState
from fabric.plugin.contract import (
    BgpSpeaker,
    ClusterContext,
    Component,
    NetworkConfig,
    NodeAgent,
    NodeContext,
    NodeFacts,
)
from fabric.plugin.policies import Evaluator, World
from fabric.plugin.policy_calculation import Calculation
from fabric.plugin.served import ServedKind
from fabric.store.port import Store


class CalicoPlugin:
    """Network plugin `calico`. All agents of a process share one syncer and the labels of the Nodes."""

    def __init__(self) -> None:
        self._syncer: Syncer | None = None
        self._feed: Feed | None = None
        self._clock = LoopClock()
        self._node_controller = NodeController(self._clock)
        self._kube: KubeLabels | None = None

    @property
    def name(self) -> str:
        return "calico"

    @property
    def node_folders(self) -> Sequence[str]:
        return node_files.FOLDERS

    @property
    def enforces_policies(self) -> bool:
        return True

    def problems(self, config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Sequence[tuple[str, str]]:
        return topology_check.problems(config, nodes)

    def requirements(self, config: NetworkConfig) -> frozenset[str]:
        found = _settings(config)
        wanted = {pool.spec.encapsulation for pool in found.pools}
        devices = {"ipip": "ipip|tun", "vxlan": "vxlan"}
        needed = {feature for name, feature in devices.items() if name in wanted}
        return frozenset(needed | {"iptables", "ipset"} | ({"bird"} if found.runs_bird else set()))

    def bgp_speakers(self, config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Mapping[str, BgpSpeaker]:
        return topology_check.bgp_speakers(_settings(config), nodes)

    async def prepare(self, config: NetworkConfig, store: Store, client: Client) -> None:
        await bootstrap.write(store, self._clock, _settings(config))

    async def collect_garbage(self, config: NetworkConfig, nodes: Sequence[NodeFacts], store: Store) -> None:
        await self._node_controller.collect_garbage(nodes, store)

    def agent(self, context: NodeContext) -> NodeAgent:
        if self._syncer is None or self._feed is None or self._kube is None:
            reflector = context.reflectors.of(PREFIX)
            self._feed = Feed(reflector)  # First, so that it knows all that the syncer tells of.
            self._syncer = Syncer(reflector)
            self._kube = KubeLabels(context.informers.of(NODE))
        return CalicoAgent(context, _settings(context.config), self._syncer, self._feed, self._kube)

    def controllers(self, context: ClusterContext) -> Sequence[Component]:
        return (KubeControllers(context, self._clock),)

    def preview(self, config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Mapping[str, NetState]:
        """Guess: the nodes come up in order, each takes its own first block, and the kernel has ipip."""
        snapshot, sites = assumed_snapshot(_settings(config), nodes, DEFAULTS)
        return {name: preview(site, snapshot) for name, site in sites.items()}

    def custom_resources(self, config: NetworkConfig) -> Sequence[ServedKind]:
        return served.kinds(config)

    def policy_evaluator(self, world: World) -> Evaluator:
        return CalicoEvaluator(world)

    def policy_calculation(self, config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Calculation:
        """Felix's own settings are the defaults."""
        return PolicyCalculation(assumed_snapshot(_settings(config), nodes, DEFAULTS)[1].values())

    def resources(self, config: NetworkConfig) -> Mapping[str, Object]:
        """Pools and other resources that the file spells out, without the pool that podCIDR becomes."""
        found = _settings(config)
        paths = [(found.at[it.KIND, it.name], it) for it in (*found.pools, *found.resources)]
        return {path: it.to_object() for path, it in paths if path != "options"}


def _settings(config: NetworkConfig) -> Settings:
    found, findings = settings(config)
    if findings:
        raise BadInput(*(Problem(path, what) for path, what in findings))
    return found
