"""A world made of API objects: who its endpoints are, by which addresses, with which labels.

Pods that ended have no address any more and are no endpoints. Where manifests are all there is, a workload
without pods stands for as many as it has replicas, pods have the addresses that a cluster might give them,
and a namespace or service account that is named and missing is there as a cluster would make it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fabric.api.objects import Object, labels_of
from fabric.errors import FabricError
from fabric.netstate.objects import IPAddress, IPNetwork
from fabric.plugin.policies import NAMESPACE_NAME_LABEL, Endpoint, Port, World, group_of, protocol_number
from fabric.plugin.policy_reading import Value

POD_NETWORKS: tuple[IPNetwork, ...] = (ipaddress.ip_network("10.244.0.0/16"),)
"""Where pods of manifests get their addresses from when no IPPool is among them."""
NODE_NETWORK = ipaddress.ip_network("192.168.0.0/16")
UNSCHEDULED = "unscheduled"
"""The node of pods of the host's network that have none."""
_ENDED = ("Succeeded", "Failed")
_WORKLOADS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController", "Job")
_CLUSTER_SCOPED = ("Namespace", "Node", "Tier", "Profile", "HostEndpoint", "IPPool", "FelixConfiguration")
REPLICAS_MAX = 100
"""More replicas of one workload than these say nothing more of policies."""


def of_cluster(objects: Iterable[Object]) -> World:
    """The world of a running cluster: pods have the addresses that they have, or none and are left out."""
    placed = [_placed(it) for it in objects]
    pods = [_pod(it, _addresses(it)) for it in placed if _is(it, "Pod") and not _has_ended(it)]
    nodes = [_node(it) for it in placed if _is(it, "Node")]
    return _world([*nodes, *(it for it in pods if it.addresses)], placed)


def of_manifests(objects: Iterable[Object]) -> World:
    """The world that manifests describe."""
    placed = [_placed(it) for it in objects]
    pods = [it for it in placed if _is(it, "Pod")]
    pods += [pod for it in placed if it["kind"] in _WORKLOADS for pod in _replicas(it, pods)]
    given = _Addresses(placed)
    nodes = [given.node(_node(it)) for it in placed if _is(it, "Node")]
    hosts = {it.name: it for it in nodes}
    endpoints = []
    for pod in pods:
        if _has_ended(pod):
            continue
        found = _pod(pod, ())
        if found.is_host_network and found.node not in hosts:
            hosts[found.node] = given.node(Endpoint("node", found.node, node=found.node))
        theirs = hosts[found.node].addresses if found.is_host_network else given.of_pod(pod)
        endpoints.append(_pod(pod, theirs))
    accounts = {(it.namespace, it.service_account) for it in endpoints}
    known = {(_namespace(it), it["metadata"]["name"]) for it in placed if _is(it, "ServiceAccount")}
    made = [_account(*it) for it in sorted(accounts - known)]
    return _world([*hosts.values(), *endpoints], [*placed, *made])


def _world(endpoints: Sequence[Endpoint], objects: Sequence[Object]) -> World:
    named = {it["metadata"]["name"]: labels_of(it) for it in objects if _is(it, "Namespace")}
    used = {it.namespace for it in endpoints} | {_namespace(it) for it in objects}
    return World(
        tuple(endpoints),
        {
            name: {**named.get(name, {}), NAMESPACE_NAME_LABEL: name}
            for name in sorted(named.keys() | used - {""})
        },
        tuple(it for it in objects if not _is(it, "Pod") and it["kind"] not in _WORKLOADS),
    )


def _is(obj: Object, kind: str) -> bool:
    return obj.get("kind") == kind and not group_of(obj)


def _placed(obj: Object) -> Object:
    """The object with the namespace that it is applied to."""
    is_global = obj["kind"] in _CLUSTER_SCOPED or "Global" in obj["kind"] or obj["metadata"].get("namespace")
    return obj if is_global else {**obj, "metadata": {**obj["metadata"], "namespace": "default"}}


def _namespace(obj: Object) -> str:
    return str(obj["metadata"].get("namespace") or "")


def _has_ended(pod: Object) -> bool:
    return Value.of(pod)["status"]["phase"].value in _ENDED


def _account(namespace: str, name: str) -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}


def _addresses(pod: Object) -> tuple[IPAddress, ...]:
    status = Value.of(pod)["status"]
    texts = [it["ip"] for it in status["podIPs"]] or [status["podIP"]]
    return tuple(it.network().network_address for it in texts if it.text())


def _pod(pod: Object, addresses: tuple[IPAddress, ...]) -> Endpoint:
    whole = Value.of(pod)
    spec = whole["spec"]
    on_host = spec["hostNetwork"].flag()
    return Endpoint(
        "pod",
        whole["metadata"]["name"].text(),
        _namespace(pod),
        addresses,
        whole["metadata"]["labels"].labels(),
        spec["serviceAccountName"].text() or "default",
        spec["nodeName"].text() or (UNSCHEDULED if on_host else ""),
        tuple(_ports(spec)),
        on_host,
    )


def _ports(spec: Value) -> Iterator[Port]:
    """The ports of containers that stay: of all but init containers that end."""
    sidecars = (it for it in spec["initContainers"] if it["restartPolicy"].value == "Always")
    for container in (*spec["containers"], *sidecars):
        for port in container["ports"]:
            number, protocol = port["containerPort"].whole(1), port["protocol"]
            if number is None:
                port.refuse("needs a containerPort")
            word = protocol.choice("TCP", "UDP", "SCTP", default="TCP")
            yield Port(number, protocol_number(word), port["name"].text())


def _node(node: Object) -> Endpoint:
    whole = Value.of(node)
    name = whole["metadata"]["name"].text()
    given = [it["address"] for it in whole["status"]["addresses"] if it["type"].value == "InternalIP"]
    addresses = tuple(it.network().network_address for it in given)
    return Endpoint("node", name, "", addresses, whole["metadata"]["labels"].labels(), node=name)


def _replicas(workload: Object, pods: Sequence[Object]) -> Iterator[Object]:
    """The pods that a workload would have; none where some of them are there."""
    whole = Value.of(workload)
    spec = whole["spec"]
    template = spec["template"]
    namespace, name = _namespace(workload), whole["metadata"]["name"].text()
    labels = template["metadata"]["labels"].labels()
    if any(_namespace(it) == namespace and labels.items() <= labels_of(it).items() for it in pods):
        return
    count = (spec["replicas"] if spec["replicas"].is_given else spec["parallelism"]).whole()
    for number in range(1, min(1 if count is None else count, REPLICAS_MAX) + 1):
        head = {"name": f"{name}-{number}", "namespace": namespace, "labels": labels}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": head, "spec": template["spec"].value or {}}


class _Addresses:
    """Addresses for what has none yet, in order: from IPPools where there are some."""

    def __init__(self, objects: Sequence[Object]) -> None:
        pools = [Value.of(it)["spec"]["cidr"].network() for it in objects if it["kind"] == "IPPool"]
        networks = pools or list(POD_NETWORKS)
        by_version = {it.version: it for it in reversed(networks)}
        self._taken = {address for it in objects for address in _taken(it)}
        self._pods = [by_version[it].hosts() for it in sorted(by_version)]
        self._nodes = NODE_NETWORK.hosts()

    def of_pod(self, pod: Object) -> tuple[IPAddress, ...]:
        found = _addresses(pod)
        return found or tuple(self._next(hosts) for hosts in self._pods)

    def node(self, node: Endpoint) -> Endpoint:
        if node.addresses:
            return node
        return Endpoint("node", node.name, "", (self._next(self._nodes),), node.labels, node=node.name)

    def _next(self, hosts: Iterator[Any]) -> IPAddress:
        found: IPAddress | None = next((it for it in hosts if it not in self._taken), None)
        if found is None:
            raise FabricError("the IPPools have no address for another pod: give them a larger cidr")
        return found


def _taken(obj: Object) -> Iterator[IPAddress]:
    if _is(obj, "Pod"):
        yield from _addresses(obj)
    elif _is(obj, "Node"):
        yield from _node(obj).addresses
