"""The contract of network plugins: what each promises, and what it is given.

A plugin computes; fabric carries out. ADD returns an `Attachment`: the state that the pod's and
the node's namespaces must have, which the kubelet applies and repairs. The node agent (flanneld, Felix) is
a loop that computes the node's state and hands it to the `Host` it was given. A plugin therefore imports
nothing of Linux, and every part of it can be tested on the fake kernel.

Found by the entry point `fabric.network_plugins`; named in a topology as `network.plugin`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fabric.api.objects import Object, sandbox_id
from fabric.control.client import Client
from fabric.control.informers import Informers
from fabric.netstate.objects import IPAddress, IPInterface, IPNetwork, NetState
from fabric.netstate.port import Host
from fabric.plugin.reflector import Reflectors
from fabric.plugin.served import ServedKind
from fabric.store.port import Store


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The `network` section of a topology with the cluster's ranges, checked."""

    pod_cidrs: tuple[IPNetwork, ...]
    """One per address family, the primary family first."""
    service_cidrs: tuple[IPNetwork, ...]
    backend: str = ""
    mtu: int = 0
    """MTU of the pods; 0 lets the plugin derive it from the underlay and its encapsulation."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The plugin's own keys, as written in the topology."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """The facts of a node that are known before any plugin ran."""

    name: str
    addresses: tuple[IPInterface, ...]
    """Underlay addresses with their prefix length, the primary family first."""
    device: str
    """The underlay's device: eth0."""
    mtu: int
    labels: Mapping[str, str] = field(default_factory=dict)
    """The node's labels in the topology: its rack, its role."""


@dataclass(frozen=True, slots=True)
class BgpSpeaker:
    """A node that speaks BGP."""

    peers: frozenset[IPAddress]
    """Addresses at the other ends of its sessions."""
    cluster_id: str = ""
    """Where it is a route reflector."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that runs on a node beside its pods: a BGP daemon, a tunnel's carrier."""

    name: str
    """Unique on its node."""
    argv: tuple[str, ...]
    """It stays in the foreground, and sees the node's namespaces and files.

    Beside the machine's programs there are built-in ones: `ipip-carrier DEVICE` does in user space, over the
    TUN device of that name, what the kernel's ipip driver does; it follows the kernel's routes.
    """
    restart_argv: tuple[str, ...] = ()
    """How it is started after it ended by itself or was killed; as before where empty."""


class Daemons(Protocol):
    """The programs of one node. They outlive who asked for them, and end with the node."""

    async def keep(self, program: Program) -> int:
        """See that it runs, and is started again whenever it ends; return its pid as the host sees it.

        Idempotent: one that runs with the same words is left alone, one with other words is ended first.
        """
        ...

    async def end(self, name: str) -> None:
        """Kill it, and start it no more; nothing is no error."""
        ...

    async def running(self) -> Mapping[str, int]:
        """Pid of every program that runs now, by name."""
        ...


@dataclass(frozen=True, slots=True)
class NodeContext:
    """All that a node's agent may use."""

    facts: NodeFacts
    config: NetworkConfig
    host: Host
    """The node's network namespace."""
    root: Path
    """The node's private files as the host sees them: `root/"run/flannel"` is /run/flannel on the node."""
    store: Store
    client: Client
    daemons: Daemons
    informers: Informers
    """The process' caches of the API, one for each kind and selection; they run as long as the process."""
    reflectors: Reflectors
    """The process' caches of the store, one for each prefix; they run as long as the process."""
    features: frozenset[str] = frozenset()
    """What this machine's kernel has, by doctor's names: a plugin may choose between two ways by it."""


@dataclass(frozen=True, slots=True)
class ClusterContext:
    """All that a plugin's controllers may use, in the one process of the cluster that runs them."""

    config: NetworkConfig
    store: Store
    client: Client
    informers: Informers
    reflectors: Reflectors


class Component(Protocol):
    """A part of a plugin that runs for as long as its process."""

    async def run(self) -> None:
        """Run for ever; a FabricError inside is retried, not raised."""
        ...


@dataclass(frozen=True, slots=True)
class PodRef:
    """The pod of an ADD, CHECK or DEL."""

    namespace: str
    """Empty, as the name, in the DEL of a pod of which only the UID is known any more."""
    name: str
    uid: str
    netns: str
    """Name of its network namespace at the kernel: `pod:<uid>`."""
    device: str = "eth0"

    @property
    def sandbox_id(self) -> str:
        """CNI_CONTAINERID: what handles, host-local's files and WorkloadEndpoints name the pod by."""
        return sandbox_id(self.uid)


@dataclass(frozen=True, slots=True)
class Attachment:
    """The attachment of a pod to its node's network, as CNI ADD returns it."""

    ips: tuple[IPInterface, ...]
    """The pod's addresses, one per family, primary first."""
    gateways: tuple[IPAddress, ...]
    mtu: int
    node: NetState
    """What the node's namespace must have for this pod; its `Veth` makes both ends."""
    pod: NetState
    """What the pod's namespace must have: LinkUp (of `lo` too: nobody else raises it), Address, Route.

    LinkMtu and LinkMac as well: `node` keeps its own end of the pair only.
    """


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """The agent's word on itself; it becomes the node's NetworkUnavailable condition."""

    ready: bool
    reason: str
    message: str
    details: Mapping[str, str] = field(default_factory=dict)
    """Shown by `fabric status`: subnet, VTEP, carrier …"""
    pod_cidrs: tuple[str, ...] = ()
    """The node's own subnets of pods, where the plugin gives it any; become the Node's podCIDRs."""


class NodeAgent(Protocol):
    """The plugin's part on one node. May be killed at any moment and started again."""

    async def run(self) -> None:
        """Run for ever: acquire, compute, apply, repair. A FabricError inside is retried, not raised."""
        ...

    def status(self) -> AgentStatus:
        """Return its word on itself now. Asked often; never raises."""
        ...

    def powered_on(self) -> None:
        """The node was off and is on again: its kernel is empty, its programs are gone. Look at all now."""
        ...

    async def add(self, pod: PodRef) -> Attachment:
        """CNI ADD: allocate, and say what must be. Idempotent: a second ADD of a UID returns the same.

        FabricError when it cannot be now (agent not ready, out of addresses): the kubelet tries again.
        """
        ...

    async def check(self, pod: PodRef) -> Attachment | None:
        """CNI CHECK: what must be for a pod that was added, or None when this plugin does not know it."""
        ...

    async def until_programmed(self, pod: PodRef) -> None:
        """Return when the kernel has what the agent itself wants for a pod that was added: NAT, policies.

        It is beside the attachment, which the kubelet carries out. The pod's containers start no earlier;
        the kubelet waits so long as is bearable, and then adds the pod again.
        """
        ...

    async def delete(self, pod: PodRef) -> None:
        """CNI DEL: release what was allocated. Idempotent; needs neither node nor pod to be alive."""
        ...

    async def collect(self, alive: frozenset[str]) -> None:
        """CNI GC: release everything of pods on this node whose UID is not in `alive`."""
        ...


class NetworkPlugin(Protocol):
    """The plugin itself: one object per process; it keeps nothing that cannot be read again."""

    @property
    def name(self) -> str: ...

    @property
    def node_folders(self) -> Sequence[str]:
        """Return the folders of a node's own that the plugin's files are in, such as `etc/calico`.

        Each node has these below `NodeContext.root`, beside run, var/lib/cni and etc/cni/net.d; whatever
        else a path names on a node is the machine's.
        """
        ...

    @property
    def enforces_policies(self) -> bool:
        """True when agents carry out networking.k8s.io's NetworkPolicy; else who writes one is warned."""
        ...

    def problems(self, config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Sequence[tuple[str, str]]:
        """Return what is wrong with the `network` section: (path below `network`, what and what is allowed).

        Paths are dotted: `backend`, `options.SubnetLen`; one with a `/` in front is below `spec`: `/podCIDR`.
        Sees all, so that all errors come at once.
        """
        ...

    def requirements(self, config: NetworkConfig) -> frozenset[str]:
        """Kernel features it needs, by doctor's names: `vxlan`, `ipset`, `ipip|tun` (either); or `bird`."""
        ...

    def bgp_speakers(self, config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Mapping[str, BgpSpeaker]:
        """Return what each node's BGP daemon would be told first, by node; empty where none runs.

        It is drawn, and its ARP entries are counted: beyond what Linux keeps a cluster does not come up.
        """
        ...

    async def prepare(self, config: NetworkConfig, store: Store, client: Client) -> None:
        """Write what is the whole cluster's (net-conf, pools); idempotent, runs before any agent."""
        ...

    async def collect_garbage(self, config: NetworkConfig, nodes: Sequence[NodeFacts], store: Store) -> None:
        """Release what nodes hold that are not among `nodes`; called again and again by one process."""
        ...

    def agent(self, context: NodeContext) -> NodeAgent: ...

    def controllers(self, context: ClusterContext) -> Sequence[Component]:
        """Return what runs once for the whole cluster; none for most."""
        ...

    def preview(self, config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Mapping[str, NetState]:
        """Return what each node's namespace would have, for `fabric plan`: allocation is guessed in order."""
        ...

    def custom_resources(self, config: NetworkConfig) -> Sequence[ServedKind]:
        """Kinds that the API server shall serve to kubectl for this plugin; empty for most."""
        ...

    def resources(self, config: NetworkConfig) -> Mapping[str, Object]:
        """Objects of these kinds that the section spells out, by their paths below `network`.

        `prepare` writes them; `fabric up` makes those again that somebody deleted, and tells of those that
        somebody changed.
        """
        ...
