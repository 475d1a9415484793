"""Strategies of policies, Kubernetes' and Calico's, for the worlds of `support.any_world`.

They ask for labels, ports and networks that those worlds have, so that rules match about as often as not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from fabric.api.objects import Object
from support.policy_worlds import calico, kubernetes_policy

Spec = dict[str, Any]

_LABELS = st.fixed_dictionaries(
    {}, optional={"pod": st.sampled_from("abc"), "role": st.sampled_from(["web", "db"])}
)
_SELECTORS = st.one_of(
    st.builds(lambda labels: {"matchLabels": labels} if labels else {}, _LABELS),
    st.builds(
        lambda operator, values: {
            "matchExpressions": [
                {"key": "pod", "operator": operator}
                | ({"values": values} if operator in ("In", "NotIn") else {})
            ]
        },
        st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
        st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True),
    ),
)
_NAMESPACES = st.one_of(
    st.just({}),
    st.sampled_from("xyz").map(lambda name: {"matchLabels": {"ns": name}}),
    st.just({"matchExpressions": [{"key": "team", "operator": "In", "values": ["red"]}]}),
)
_BLOCKS = st.sampled_from(
    [
        {"cidr": "10.244.0.0/16"},
        {"cidr": "10.244.1.0/24", "except": ["10.244.1.1/32"]},
        {"cidr": "0.0.0.0/0", "except": ["10.244.2.0/24", "10.244.3.0/24"]},
        {"cidr": "192.168.0.0/24", "except": ["192.168.0.2/32"]},
        {"cidr": "203.0.113.0/24"},
        {"cidr": "fd00::/64"},
    ]
)
_PEERS = st.one_of(
    st.builds(lambda it: {"podSelector": it}, _SELECTORS),
    st.builds(lambda it: {"namespaceSelector": it}, _NAMESPACES),
    st.builds(lambda a, b: {"namespaceSelector": a, "podSelector": b}, _NAMESPACES, _SELECTORS),
    st.builds(lambda it: {"ipBlock": it}, _BLOCKS),
)
_PORTS = st.one_of(
    st.builds(
        lambda port, protocol: {"port": port} | ({"protocol": protocol} if protocol else {}),
        st.sampled_from([80, 81, "serve-80-tcp", "serve-81-udp", "nobody"]),
        st.sampled_from(["", "TCP", "UDP", "SCTP"]),
    ),
    st.just({"protocol": "UDP"}),
    st.just({"port": 79, "endPort": 80}),
)


def _kubernetes_rules(side: str) -> st.SearchStrategy[list[Spec]]:
    return st.lists(
        st.builds(
            lambda peers, ports: ({side: peers} if peers else {}) | ({"ports": ports} if ports else {}),
            st.lists(_PEERS, max_size=2),
            st.lists(_PORTS, max_size=3),
        ),
        max_size=2,
    )


kubernetes = st.builds(
    lambda namespace, selector, types, ingress, egress: (
        namespace,
        {"podSelector": selector, "policyTypes": types, "ingress": ingress, "egress": egress},
    ),
    st.sampled_from("xyz"),
    _SELECTORS,
    st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
    _kubernetes_rules("from"),
    _kubernetes_rules("to"),
)
"""A namespace, and the spec of a NetworkPolicy in it."""

_CALICO_SELECTORS = st.sampled_from(
    [
        *("", "all()", "pod == 'a'", "pod != 'a'", "pod in {'a', 'b'}", "!has(none)"),
        *("pod == 'a' || pod == 'b'", "role == 'web' && pod not in {'c'}", "has(host)", "set == 'outer'"),
        *("pcsa.team == 'red'", "role contains 'e'", "role starts with 'w'", "!(role ends with 'b')"),
    ]
)
_NAMESPACES_OF_POLICIES = ["", "all()", "ns == 'x'", "ns != 'x'", "team == 'red'"]
_NAMESPACE_SELECTORS = st.sampled_from([*_NAMESPACES_OF_POLICIES, "global()"])
_ACCOUNTS = st.sampled_from(
    [
        {"names": ["robot"]},
        {"names": ["default", "robot"]},
        {"selector": "team == 'red'"},
        {"selector": "all()"},
    ]
)
_NETS = st.sampled_from(
    [
        *([], ["10.244.1.0/24"], ["10.244.1.1/32", "10.244.2.0/24"], ["0.0.0.0/0"], ["fd00::/64"]),
        *(["192.168.0.0/24"], ["203.0.113.0/24", "192.168.0.1/32"]),
    ]
)
_NOT_NETS = st.sampled_from(
    [[], ["10.244.1.1/32"], ["10.244.1.0/24", "10.244.2.0/24"], ["192.168.0.0/24"], ["fd00::1/128"]]
)
_FIELDS = {
    "selector": _CALICO_SELECTORS,
    "notSelector": st.sampled_from(["pod == 'b'", "has(none)", "set == 'outer'", "has(host)"]),
    "namespaceSelector": _NAMESPACE_SELECTORS,
    "serviceAccounts": _ACCOUNTS,
    "nets": _NETS,
    "notNets": _NOT_NETS,
}
_ENTITIES = st.fixed_dictionaries({}, optional=_FIELDS)
_MANY = [*range(2000, 2020), 80]
"""More ports than one match of iptables can have."""
_DESTINATION_PORTS = st.fixed_dictionaries(
    {},
    optional={
        "ports": st.lists(st.sampled_from([80, "81:90", "serve-80-tcp", "serve-81-udp"]), max_size=3)
        | st.just(_MANY),
        "notPorts": st.lists(st.sampled_from([81, "serve-80-udp", "serve-80-tcp"]), max_size=2)
        | st.just(_MANY),
    },
)
_SOURCE_PORTS = st.fixed_dictionaries(
    {},
    optional={
        "ports": st.sampled_from([[1000], ["30000:65535"], [80, "serve-80-tcp"], _MANY]),
        "notPorts": st.sampled_from([[1000], ["30000:65535"], ["serve-80-tcp"]]),
    },
)
_ICMP = st.sampled_from([{}, {"type": 8}, {"type": 8, "code": 0}, {"type": 13}, {"type": 3, "code": 1}])
_NETWORKS = ("nets", "notNets")
_PROTOCOLS = ("", "TCP", "UDP", "SCTP", "ICMP", 6, 132)


@st.composite
def _calico_rule(draw: st.DrawFn) -> Spec:
    """A rule that Calico's API accepts: of one IP version, ports and ICMP where its protocol has them."""
    rule: Spec = {"action": draw(st.sampled_from(["Allow", "Allow", "Deny", "Pass", "Log"]))}
    source, destination = draw(_ENTITIES), draw(_ENTITIES)
    protocol = draw(st.sampled_from(_PROTOCOLS))
    if protocol:
        rule["protocol"] = protocol
    if protocol in ("TCP", "UDP", "SCTP"):
        source = source | draw(st.just({}) | _SOURCE_PORTS)
        destination = destination | draw(_DESTINATION_PORTS)
    if protocol == "ICMP":
        rule |= {name: draw(_ICMP) for name in draw(st.sampled_from([(), ("icmp",), ("notICMP",)]))}
    elif draw(st.booleans()):
        rule["notProtocol"] = draw(st.sampled_from(["TCP", "UDP", 1]))
    families = {
        ":" in text for it in (source, destination) for name in _NETWORKS for text in it.get(name, ())
    }
    if len(families) > 1:
        source, destination, families = _without_nets(source), _without_nets(destination), set()
    if draw(st.sampled_from([False, False, True])) and "notProtocol" not in rule and protocol != "ICMP":
        rule["ipVersion"] = 6 if True in families else 4
    return rule | {"source": source, "destination": destination}


def _without_nets(entity: Spec) -> Spec:
    return {name: value for name, value in entity.items() if name not in _NETWORKS}


def _with(name: str, values: st.SearchStrategy[Any], *protocols: str) -> st.SearchStrategy[Spec]:
    """Rules of which one end has one field."""
    return st.builds(
        lambda end, value, protocol: (
            {"action": "Allow", end: {name: value}} | ({"protocol": protocol} if protocol else {})
        ),
        st.sampled_from(["source", "destination"]),
        values,
        st.sampled_from(protocols or [""]),
    )


_NAMED = st.sampled_from([[80], ["81:90"], ["serve-80-tcp"], ["serve-81-udp", "serve-80-udp"], _MANY])
_lone_rule = st.one_of(
    *(_with(name, values) for name, values in _FIELDS.items()),
    *(_with(name, _NAMED, "TCP", "UDP") for name in ("ports", "notPorts")),
    *(
        _ICMP.map(lambda value, name=name: {"action": "Allow", "protocol": "ICMP", name: value})
        for name in ("icmp", "notICMP")
    ),
    *(
        st.sampled_from(given).map(lambda it: {"action": "Allow", **it})
        for given in (
            [{"protocol": "UDP"}, {"notProtocol": "UDP"}, {"ipVersion": 4}, {"ipVersion": 6}],
            [
                {"protocol": "TCP", "destination": {"notPorts": ["serve-80-tcp", "serve-81-tcp"]}},
                {"protocol": "UDP", "destination": {"notPorts": ["serve-81-udp", "serve-80-udp"]}},
            ],
        )
    ),
)
rule = _calico_rule()
any_rule = st.sampled_from([_lone_rule, _lone_rule, rule]).flatmap(lambda it: it)
"""Rules of which many ask for one thing alone: in those with many conditions hardly any is decisive."""
rules = st.lists(rule, max_size=3)
_STAGES = st.sampled_from([{}, {}, {}, {"applyOnForward": True}, {"preDNAT": True}, {"doNotTrack": True}])


@st.composite
def _calico(draw: st.DrawFn) -> tuple[str, Spec]:
    namespace = draw(st.sampled_from(["", "", "x", "y"]))
    spec: Spec = {
        "tier": draw(st.sampled_from(["default", "first", "passing"])),
        "selector": draw(_CALICO_SELECTORS),
        "types": draw(st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]])),
    }
    if order := draw(st.sampled_from([0, 10, 2000])):
        spec["order"] = order
    if draw(st.sampled_from([False, False, True])):
        spec["serviceAccountSelector"] = "team == 'red'"
    if not namespace:
        spec |= draw(_STAGES)
        if draw(st.sampled_from([False, False, True])):
            spec["namespaceSelector"] = draw(st.sampled_from(_NAMESPACES_OF_POLICIES))
    if "preDNAT" in spec:
        spec["types"] = ["Ingress"]
    if "preDNAT" in spec or "doNotTrack" in spec:
        spec["applyOnForward"] = True
    for direction in spec["types"]:
        spec[direction.lower()] = draw(rules)
    return namespace, spec


calicos = _calico()
"""A namespace, or none, and the spec of a policy of Calico's."""

TIERS = (calico("Tier", "first", order=10), calico("Tier", "passing", order=20, defaultAction="Pass"))


def objects_of(
    some_kubernetes: list[tuple[str, Spec]], some_calico: list[tuple[str, Spec]]
) -> Iterator[Object]:
    """The policies as objects of the API, with the tiers that they name."""
    yield from TIERS
    for number, (namespace, spec) in enumerate(some_kubernetes):
        yield kubernetes_policy(f"policy-{number}", namespace, **spec)
    for number, (namespace, spec) in enumerate(some_calico):
        kind = "NetworkPolicy" if namespace else "GlobalNetworkPolicy"
        yield calico(kind, f"rule-{number}", namespace, **spec)
