"""The chains that Felix has on nodes for a world's policies, and packets that walk through them.

What the oracle is asked of a `World`, is asked of the rules here: the calculation reads the same objects, and
each node's chains and sets are what a packet meets in the model of netfilter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from ipaddress import ip_interface, ip_network

from calico.calc import reading
from calico.calc.calculator import Calculator
from calico.calc.feed import put
from calico.calc.objects import Endpoint as CalcEndpoint
from calico.calc.objects import EndpointId, NamedPort
from calico.felix.options import RuleOptions
from calico.felix.policy_state import PolicySite, PolicyState
from calico.kube_controllers import conversion
from calico.resources.endpoints import interface_name
from calico.resources.felix import DEFAULTS
from calico.resources.table import RESOURCE_TYPES
from calico.resources.tiers import own_tiers
from calico.workloads import labels_of_pod
from fabric.api.objects import Object
from fabric.kernel.fake_netfilter.netfilter import FakeNetfilter
from fabric.kernel.fake_netfilter.packets import Packet
from fabric.netstate.objects import Address, Chain, IpSet, Jump, NetObject, Route
from fabric.plugin.policies import PROTOCOLS, Endpoint, Flow, World
from support.calculations import Key, drop, key_of

_NAMES = {number: name for name, number in PROTOCOLS.items()}
_WIRE = "eth0"


def device(pod: Endpoint) -> str:
    return interface_name(pod.namespace, pod.name)


class Rendered:
    """The nodes of a world with their chains, in IPv4 and IPv6; the world may become another one."""

    def __init__(self, world: World, options: RuleOptions | None = None) -> None:
        self._options = options or _options()
        self._calculator = Calculator()
        self._states = {name: PolicyState(self._calculator, name) for name in world.nodes}
        self._there: dict[Key, reading.Thing] = {}
        self.become(world)

    def become(self, world: World) -> None:
        """Take in what another world has, and drop what it has not, as the datastore would tell of it."""
        self._world = world
        things = {key_of(it): it for it in _things(world)}
        for key in self._there.keys() - things.keys():
            drop(self._calculator, key)
        for thing in things.values():
            put(self._calculator, thing)
        self._there = things
        self._calculator.flush()
        self.objects = {name: self._objects(name, state) for name, state in self._states.items()}
        self._netfilter = {
            name: FakeNetfilter([*objects, *self._surroundings(name)])
            for name, objects in self.objects.items()
        }

    def allows(self, flow: Flow) -> bool:
        """True when the first packet passes the node of its source, and that of its destination."""
        source, target = flow.source, flow.destination
        is_near = source.node == target.node
        passes = True
        if source.node:
            came_from = device(source) if source.kind == "pod" else ""
            passes = self._passes(flow, source.node, came_from, self._way_out(flow, is_near))
        if target.node and not is_near:
            passes = passes and self._passes(flow, target.node, _WIRE, self._way_out(flow, True))
        return passes

    def _way_out(self, flow: Flow, is_there: bool) -> str:
        """The device by which it leaves; empty where it is for the node itself."""
        if not is_there:
            return _WIRE
        return device(flow.destination) if flow.destination.kind == "pod" else ""

    def _passes(self, flow: Flow, node: str, came_from: str, goes_to: str) -> bool:
        source, destination = flow.source.address(flow.family), flow.destination.address(flow.family)
        assert source is not None and destination is not None
        packet = Packet(
            source,
            destination,
            flow.protocol,
            flow.source_port,
            flow.port,
            flow.icmp_type,
            flow.icmp_code,
            in_interface=came_from,
            out_interface=goes_to,
            ctstate="NEW",
        )
        return self._netfilter[node].walk(packet).kind == "ACCEPT"

    def _objects(self, node: str, state: PolicyState) -> list[NetObject]:
        parts = state.parts(site(self._world, node, self._options))
        return [it for part in parts.values() for it in part if isinstance(it, Chain | Jump | IpSet)]

    def _surroundings(self, node: str) -> Iterator[NetObject]:
        """The addresses and routes of a node."""
        for address in self._world.nodes[node].addresses:
            yield Address(ip_interface(f"{address}/{24 if address.version == 4 else 64}"), _WIRE)
        for pod in self._world.pods:
            for address in pod.addresses:
                dev = device(pod) if pod.node == node else _WIRE
                yield Route(ip_network(address), dev=dev, scope="link")


@cache
def _options() -> RuleOptions:
    return RuleOptions(DEFAULTS, ("cali",))


def site(world: World, node: str, options: RuleOptions | None = None) -> PolicySite:
    """A node of a world, with Felix' defaults if nothing else is said."""
    return PolicySite(options or _options(), (4, 6), _WIRE, frozenset(world.nodes[node].addresses))


def _things(world: World) -> Iterator[reading.Thing]:
    """All that the calculation is told of a world."""
    yield from _known(map(reading.thing, own_tiers()))
    for name, labels in world.namespaces.items():
        namespace = {"metadata": {"name": name, "labels": labels}}
        yield from _known([reading.thing(conversion.namespace_profile(namespace))])
    for pod in world.pods:
        yield _endpoint(pod)
    yield from _known(map(_thing, world.objects))


def _known(things: Iterable[reading.Thing | None]) -> Iterator[reading.Thing]:
    return (it for it in things if it is not None)


def _thing(obj: Object) -> reading.Thing | None:
    if obj["kind"] == "ServiceAccount":
        return reading.thing(conversion.account_profile(obj))
    if obj["apiVersion"] == "networking.k8s.io/v1":
        return reading.thing(conversion.network_policy(obj))
    return reading.thing(RESOURCE_TYPES[obj["kind"]].from_object(obj))


def _endpoint(pod: Endpoint) -> CalcEndpoint:
    metadata = {"name": pod.name, "namespace": pod.namespace, "labels": dict(pod.labels)}
    labels = labels_of_pod({"metadata": metadata, "spec": {"serviceAccountName": pod.service_account}})
    return CalcEndpoint(
        EndpointId("WorkloadEndpoint", pod.namespace, pod.name),
        labels,
        (f"kns.{pod.namespace}", f"ksa.{pod.namespace}.{pod.service_account}"),
        tuple(map(ip_network, pod.addresses)),
        tuple(NamedPort(it.name, _NAMES[it.protocol], it.number) for it in pod.ports if it.name),
        pod.node,
        device(pod),
    )
