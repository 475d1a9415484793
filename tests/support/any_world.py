"""Strategies of worlds for policies: namespaces, pods, accounts, sets of networks, host endpoints.

Two nodes; up to eight pods of namespaces x, y and z, in which labels, accounts, ports and nodes are random.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from itertools import product

from hypothesis import strategies as st

from fabric.api.objects import Object
from fabric.plugin.policies import NAMESPACE_NAME_LABEL, Endpoint, Flow, World, outside, protocol_number
from support.policy_worlds import PORTS, calico, node
from support.world_policies import rules

_NAMESPACES = "xyz"
_NODES = (node("node-1", "192.168.0.1", "fd01::1"), node("node-2", "192.168.0.2", "fd01::2"))
OUTSIDE = tuple(map(outside, ("203.0.113.7", "192.168.0.99")))
_TEAM = st.sampled_from([{}, {"team": "red"}, {"team": "blue"}])
_PLACES = tuple(product(_NAMESPACES, "abcd"))
_POD_LABELS = st.fixed_dictionaries(
    {"pod": st.sampled_from("abc")}, optional={"role": st.sampled_from(["web", "db"])}
)
_SOME_PORTS = st.sampled_from([PORTS, PORTS[:3], PORTS[3:], ()])


def _address(namespace: str, name: str) -> tuple[str, str]:
    place = _PLACES.index((namespace, name)) + 1
    return f"10.244.{_NAMESPACES.index(namespace) + 1}.{place}", f"fd00::{place:x}"


def _pod(namespace: str, name: str, node: str) -> Endpoint:
    addresses = tuple(map(ip_address, _address(namespace, name)))
    return Endpoint("pod", name, namespace, addresses, node=node)


PLACED = World((*(_pod(*it, f"node-{1 + number % 2}") for number, it in enumerate(_PLACES[::2])), *_NODES))
"""The pods of `placed_worlds` where they always are: three on each node."""


@st.composite
def _pods(draw: st.DrawFn) -> tuple[Endpoint, ...]:
    places = draw(st.lists(st.sampled_from(_PLACES), min_size=2, max_size=8, unique=True))
    return tuple(_pod(*it, draw(st.sampled_from(["node-1", "node-2"]))) for it in places)


_NETS = st.sampled_from(
    [
        *(["203.0.113.0/24"], ["10.244.1.1/32", "10.244.2.0/24"], ["192.168.0.0/28"]),
        *(["0.0.0.0/0"], ["fd00::/64"], ["10.244.3.0/24", "fd00::3/128"], []),
    ]
)
_SET_LABELS = st.sampled_from([{"set": "outer"}, {"set": "outer", "pod": "a"}, {"role": "web"}])


@st.composite
def _sets(draw: st.DrawFn) -> list[Object]:
    found = []
    for number in range(draw(st.integers(0, 2))):
        namespace = draw(st.sampled_from(["", *_NAMESPACES]))
        kind = "NetworkSet" if namespace else "GlobalNetworkSet"
        found.append(calico(kind, f"set-{number}", namespace, draw(_SET_LABELS), nets=draw(_NETS)))
    return found


_DEVICES = st.sampled_from(
    [{"interfaceName": "eth0"}, {"interfaceName": "*"}, {"interfaceName": "eth0", "expectedIPs": True}]
)
_HOST_LABELS = st.sampled_from(
    [{"host": "edge"}, {"host": "inner", "pod": "a"}, {"host": "edge", "role": "db"}]
)


@st.composite
def _hosts(draw: st.DrawFn) -> list[Object]:
    """Up to one host endpoint a node, and the profile that they may have."""
    found = []
    for it in _NODES:
        if not draw(st.booleans()):
            continue
        spec = dict(draw(_DEVICES))
        if spec.pop("expectedIPs", False):
            spec = {"expectedIPs": [str(it.addresses[0])]}
        spec |= draw(st.sampled_from([{}, {"profiles": ["own"]}]))
        spec["ports"] = [{"name": "serve-80-tcp", "protocol": "TCP", "port": 80}]
        found.append(calico("HostEndpoint", f"host-{it.name}", "", draw(_HOST_LABELS), node=it.name, **spec))
    if found:
        own = {direction: draw(rules.map(_of_profile)) for direction in ("ingress", "egress")}
        found.append(calico("Profile", "own", labelsToApply={"role": "web"}, **own))
    return found


def _of_profile(given: list[dict]) -> list[dict]:
    return [it for it in given if it["action"] != "Pass"]


@st.composite
def _worlds(
    draw: st.DrawFn, pods: st.SearchStrategy[tuple[Endpoint, ...]], with_hosts: bool = False
) -> World:
    namespaces = {name: {"ns": name, NAMESPACE_NAME_LABEL: name, **draw(_TEAM)} for name in _NAMESPACES}
    accounts = [_account(name, draw(_TEAM)) for name in _NAMESPACES]
    objects = (*accounts, *draw(_sets()), *(draw(_hosts()) if with_hosts else ()))
    dressed = (
        replace(
            pod,
            labels=draw(_POD_LABELS),
            service_account=draw(st.sampled_from(["default", "robot"])),
            ports=draw(_SOME_PORTS),
        )
        for pod in draw(pods)
    )
    return World((*dressed, *_NODES), namespaces, objects)


def _account(namespace: str, labels: dict[str, str]) -> Object:
    metadata = {"name": "robot", "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


worlds = _worlds(_pods())
"""Worlds without host endpoints."""
guarded_worlds = _worlds(_pods(), with_hosts=True)
"""Worlds of which some nodes have host endpoints."""
placed_worlds = _worlds(st.just(PLACED.pods))
"""Worlds without host endpoints whose pods are always the same, at the same places."""

_KINDS = (
    *(("tcp", port, 49152, {}) for port in (80, 81, 85, 22)),
    *(("udp", port, 49152, {}) for port in (80, 81, 53)),
    *(("tcp", 80, 1000, {}), ("udp", 81, 80, {}), ("sctp", 80, 49152, {}), ("tcp", 2015, 2003, {})),
    *(("icmp", 0, 0, {"icmp_type": number, "icmp_code": code}) for number, code in ((8, 0), (13, 0), (3, 1))),
    ("tcp", 80, 49152, {"version": 6}),
    ("udp", 81, 49152, {"version": 6}),
)


def examples(count: int) -> int:
    """The examples of a test that is worth more of them: FABRIC_EXAMPLES times as many where that is set."""
    return count * int(os.environ.get("FABRIC_EXAMPLES", "1"))


def flows(of: World, seed: int, count: int) -> Iterator[Flow]:
    """As many flows as asked between pods, nodes and addresses outside, some of each kind."""
    chosen = random.Random(seed)
    ends = (*of.pods, *of.pods, *of.nodes.values(), *OUTSIDE)
    for _ in range(count):
        source, target = chosen.sample(ends, 2)
        protocol, port, source_port, more = chosen.choice(_KINDS)
        flow = Flow(source, target, protocol_number(protocol), port, source_port, **more)
        is_in_cluster = "address" not in (source.kind, target.kind)
        if source != target and (is_in_cluster or not (flow.version == 6 or source.kind == target.kind)):
            yield flow
