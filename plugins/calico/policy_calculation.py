"""The calculation of policies by itself: Kubernetes' objects in, the parts of each node's rules and sets out.

It is what the agents of a process do between the datastore and the kernel. Objects are converted as Calico's
controllers and the CNI plugin convert them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_network

from calico.calc import reading
from calico.calc.calculator import Calculator
from calico.calc.feed import put
from calico.calc.objects import Endpoint, EndpointId, Policy, Profile
from calico.felix.policy_state import PolicySite, PolicyState
from calico.felix.site import Site
from calico.kube_controllers import conversion
from calico.resources.endpoints import WorkloadEndpoint, endpoint_name, interface_name
from calico.resources.tiers import own_tiers
from calico.workloads import labels_of_pod
from fabric.api.objects import Object
from fabric.netstate.objects import NetState


class PolicyCalculation:
    """The calculation of one process, with the state of each of its nodes."""

    def __init__(self, sites: Iterable[Site]) -> None:
        self._calculator = Calculator()
        self._nodes = [(PolicySite.of(it), it.name, PolicyState(self._calculator, it.name)) for it in sites]
        for tier in own_tiers():
            self._put(reading.thing(tier))

    def put(self, obj: Object) -> None:
        self._put(_thing(obj))

    def drop(self, obj: Object) -> None:
        match _thing(obj):
            case Endpoint(id=endpoint):
                self._calculator.drop_endpoint(endpoint)
            case Policy(id=policy):
                self._calculator.drop_policy(policy)
            case Profile(name=name):
                self._calculator.drop_profile(name)

    def compute(self) -> Mapping[str, Mapping[str, NetState]]:
        self._calculator.flush()
        return {name: state.parts(site) for site, name, state in self._nodes}

    def _put(self, thing: reading.Thing | None) -> None:
        if thing is not None:
            put(self._calculator, thing)


def _thing(obj: Object) -> reading.Thing | None:
    match obj["kind"]:
        case "Namespace":
            return reading.thing(conversion.namespace_profile(obj))
        case "NetworkPolicy":
            return reading.thing(conversion.network_policy(obj))
    return _endpoint(obj)


def _endpoint(pod: Object) -> Endpoint:
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    node = pod["spec"]["nodeName"]
    account = pod["spec"].get("serviceAccountName") or "default"
    return Endpoint(
        EndpointId(WorkloadEndpoint.KIND, namespace, endpoint_name(node, name)),
        labels_of_pod(pod),
        (
            conversion.namespace_profile_name(namespace),
            conversion.account_profile_name(namespace, account),
        ),
        tuple(ip_network(it["ip"]) for it in pod["status"]["podIPs"]),
        (),
        node,
        interface_name(namespace, name),
    )
