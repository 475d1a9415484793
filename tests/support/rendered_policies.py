"""The chains that Felix has on nodes for a world's policies, and packets that walk through them.

What the oracle is asked of a `World`, is asked of the rules here: the calculation reads the same objects, and
each node's chains and sets are what a packet meets in the model of netfilter.
"""

from __future__ import annotations

from ipaddress import ip_network

from calico.calc import reading
from calico.calc.calculator import Calculator
from calico.calc.objects import Endpoint as CalcEndpoint
from calico.calc.objects import EndpointId, NamedPort
from calico.felix.options import RuleOptions
from calico.felix.policy_state import PolicySite, PolicyState
from calico.kube_controllers import conversion
from calico.resources.endpoints import interface_name
from calico.resources.felix import DEFAULTS, FelixConfigurationSpec
from calico.resources.table import RESOURCE_TYPES
from calico.resources.tiers import own_tiers
from calico.workloads import labels_of_pod
from fabric.kernel.fake_netfilter.netfilter import FakeNetfilter
from fabric.kernel.fake_netfilter.packets import Packet
from fabric.netstate.objects import Chain, IpSet, Jump, Route
from fabric.plugin.policies import PROTOCOLS, Endpoint, Flow, World
from support.calculations import put

_NAMES = {number: name for name, number in PROTOCOLS.items()}


def device(pod: Endpoint) -> str:
    return interface_name(pod.namespace, pod.name)


class Rendered:
    """The nodes of a world with their chains, in IPv4 and IPv6."""

    def __init__(self, world: World, felix: FelixConfigurationSpec = DEFAULTS) -> None:
        self._world, self._felix = world, felix
        self._calculator = Calculator()
        states = {name: PolicyState(self._calculator, name) for name in world.nodes}
        for thing in self._things():
            put(self._calculator, thing)
        self._calculator.flush()
        self.objects = {name: self._objects(name, state) for name, state in states.items()}

    def allows(self, flow: Flow) -> bool:
        """True when the first packet passes the node of its source, and that of its destination."""
        source, target = flow.source, flow.destination
        ways = [(source.node, device(source), "" if target.node != source.node else device(target))]
        if target.node != source.node:
            ways.append((target.node, "eth0", device(target)))
        return all(self._passes(flow, *way) for way in ways)

    def _passes(self, flow: Flow, node: str, came_from: str, goes_to: str) -> bool:
        version = flow.family
        packet = Packet(
            flow.source.address(version),
            flow.destination.address(version),
            flow.protocol,
            flow.source_port,
            flow.port,
            flow.icmp_type,
            flow.icmp_code,
            in_interface=came_from,
            out_interface=goes_to or "eth0",
        )
        return FakeNetfilter(self.objects[node]).walk(packet).kind == "ACCEPT"

    def _objects(self, node: str, state: PolicyState):
        own = self._world.nodes[node]
        prefixes = tuple((self._felix.interface_prefix or "cali").split(","))
        options = RuleOptions(self._felix, prefixes, vxlan=(4, 6), has_ipip=True)
        parts = state.parts(PolicySite(options, (4, 6), "eth0", frozenset(own.addresses)))
        rules = [it for part in parts.values() for it in part if isinstance(it, Chain | Jump | IpSet)]
        routes = [
            Route(ip_network(address), dev=device(pod) if pod.node == node else "eth0", scope="link")
            for pod in self._world.pods
            for address in pod.addresses
        ]
        return [*rules, *routes]

    def _things(self):
        yield from map(reading.thing, own_tiers())
        for name, labels in self._world.namespaces.items():
            yield reading.thing(conversion.namespace_profile({"metadata": {"name": name, "labels": labels}}))
        for pod in self._world.pods:
            yield _endpoint(pod)
        for obj in self._world.objects:
            if obj["apiVersion"] == "networking.k8s.io/v1":
                yield reading.thing(conversion.network_policy(obj))
            else:
                yield reading.thing(RESOURCE_TYPES[obj["kind"]].from_object(obj))


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
