"""NetworkPolicies as Kubernetes 1.34 keeps them: what is filled in, refused and warned of."""

from __future__ import annotations

import pytest
from support.registry import new_registry, running

from fabric.api.kinds import BUILT_IN, NETWORK_POLICY, KindTable
from fabric.apiserver.local import LocalClient
from fabric.apiserver.options import WriteOptions
from fabric.apiserver.registry import Registry
from fabric.control.clock import LoopClock
from fabric.errors import ApiError, Invalid
from fabric.store.memory import MemoryStore

STRICT = WriteOptions(field_validation="Strict")
A_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def policy(name="policy-1", **spec):
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }


async def kept(registry, **spec):
    created = await registry.create(NETWORK_POLICY, "default", policy(**spec), STRICT)
    return created["spec"]


async def refused(registry, **spec):
    with pytest.raises(Invalid) as caught:
        await registry.create(NETWORK_POLICY, "default", policy(**spec), STRICT)
    return {cause["field"]: cause["message"] for cause in caught.value.details["causes"]}


def from_block(cidr, *excepted):
    block = {"cidr": cidr} | ({"except": list(excepted)} if excepted else {})
    return {"ingress": [{"from": [{"ipBlock": block}]}]}


def to_port(**port):
    return {"egress": [{"ports": [port]}]}


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({}, ["Ingress"]),
        ({"ingress": [{}]}, ["Ingress"]),
        ({"egress": [{}]}, ["Ingress", "Egress"]),
        ({"egress": []}, ["Ingress"]),
        ({"policyTypes": []}, ["Ingress"]),
        ({"policyTypes": ["Egress"]}, ["Egress"]),
        ({"ingress": [{}], "policyTypes": ["Egress", "Ingress"]}, ["Egress", "Ingress"]),
    ],
)
async def test_types_not_given_are_ingress_and_egress_where_there_are_rules_for_it(registry, spec, types):
    found = await kept(registry, **spec)
    assert found["policyTypes"] == types
    assert found["podSelector"] == {}


async def test_a_policy_without_a_spec_selects_all_and_allows_nothing_in(registry):
    body = policy()
    del body["spec"]
    created = await registry.create(NETWORK_POLICY, "default", body, STRICT)
    assert created["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}


async def test_a_port_without_a_protocol_is_of_tcp(registry):
    rule = {"ports": [{"port": 80}, {"port": "dns", "protocol": "UDP"}, {"protocol": "SCTP"}, {}]}
    found = await kept(registry, ingress=[rule], egress=[rule])
    ports = [
        {"protocol": "TCP", "port": 80},
        {"protocol": "UDP", "port": "dns"},
        {"protocol": "SCTP"},
        {"protocol": "TCP"},
    ]
    assert (found["ingress"], found["egress"]) == ([{"ports": ports}], [{"ports": ports}])


async def test_an_empty_selector_of_a_peer_is_another_thing_than_none(registry):
    peers = [{"podSelector": {}}, {"namespaceSelector": {}}, {"podSelector": {}, "namespaceSelector": {}}]
    assert (await kept(registry, ingress=[{"from": peers}]))["ingress"] == [{"from": peers}]


async def test_empty_lists_are_as_if_they_were_not_given(registry):
    found = await kept(registry, ingress=[{"from": [], "ports": []}], egress=[])
    assert found["ingress"] == [{}]
    assert "egress" not in found


@pytest.mark.parametrize(
    ("spec", "path", "message"),
    [
        ({"policyTypes": ["Both"]}, "policyTypes[0]", 'supported values: "Egress", "Ingress"'),
        ({"policyTypes": ["Ingress"] * 3}, "policyTypes", "may not specify more than two policyTypes"),
        (to_port(port=0), "egress[0].ports[0].port", "must be between 1 and 65535, inclusive"),
        (to_port(port=65536), "egress[0].ports[0].port", "must be between 1 and 65535, inclusive"),
        (to_port(port="80"), "egress[0].ports[0].port", "must contain at least one letter (a-z)"),
        (to_port(port="a" * 16), "egress[0].ports[0].port", "must be no more than 15 characters"),
        (to_port(port="a--b"), "egress[0].ports[0].port", "must not contain consecutive hyphens"),
        (to_port(protocol="ICMP"), "egress[0].ports[0].protocol", 'supported values: "SCTP", "TCP", "UDP"'),
        (
            to_port(port=80, endPort=79),
            "egress[0].ports[0].endPort",
            "Invalid value: 80: must be greater than or equal to `port`",
        ),
        (to_port(port=80, endPort=65536), "egress[0].ports[0].endPort", "must be between 1 and 65535"),
        (
            to_port(port="dns", endPort=80),
            "egress[0].ports[0].endPort",
            "may not be specified when `port` is non-numeric",
        ),
        (
            to_port(endPort=80),
            "egress[0].ports[0].endPort",
            "may not be specified when `port` is not specified",
        ),
        ({"ingress": [{"from": [{}]}]}, "ingress[0].from[0]", "Required value: must specify a peer"),
        (
            {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}]},
            "egress[0].to[0]",
            "Forbidden: may not specify both ipBlock and another peer",
        ),
        (from_block(""), "ingress[0].from[0].ipBlock.cidr", "Required value"),
        (from_block("10.0.0.0"), "ingress[0].from[0].ipBlock.cidr", A_CIDR),
        (from_block("10.0.0.0/33"), "ingress[0].from[0].ipBlock.cidr", A_CIDR),
        (from_block("10.0.0.0/8", "x"), "ingress[0].from[0].ipBlock.except[0]", A_CIDR),
        (
            from_block("10.0.0.0/8", "10.1.0.0/16", "11.0.0.0/16"),
            "ingress[0].from[0].ipBlock.except[1]",
            'Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
        ),
        (from_block("10.0.0.0/8", "10.0.0.0/8"), "ingress[0].from[0].ipBlock.except[0]", "a strict subset"),
        (from_block("10.0.0.0/8", "0.0.0.0/0"), "ingress[0].from[0].ipBlock.except[0]", "a strict subset"),
        (from_block("10.0.0.0/8", "fd00::/64"), "ingress[0].from[0].ipBlock.except[0]", "a strict subset"),
        (
            {"podSelector": {"matchLabels": {"a b": "c"}}},
            "podSelector.matchLabels",
            'Invalid value: "a b": name part must consist of',
        ),
        (
            {"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
            "podSelector.matchExpressions[0].values",
            "must be specified when `operator` is 'In' or 'NotIn'",
        ),
        (
            {
                "ingress": [
                    {"from": [{"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}]}
                ]
            },
            "ingress[0].from[0].namespaceSelector.matchExpressions[0].operator",
            "not a valid selector operator",
        ),
    ],
)
async def test_a_policy_is_refused_at_its_field_and_in_upstreams_words(registry, spec, path, message):
    found = await refused(registry, **spec)
    assert list(found) == [f"spec.{path}"]
    assert message in found[f"spec.{path}"]


@pytest.mark.parametrize(
    "spec",
    [
        to_port(port=1, endPort=65535),
        to_port(port=80, endPort=80),
        to_port(port="a-very-long-one"),
        from_block("10.0.0.0/8", "10.0.0.0/9", "10.128.0.5/32"),
        from_block("fd00::/8", "fd00::/9"),
        from_block("0.0.0.0/0", "10.0.0.0/8"),
    ],
)
async def test_what_upstream_takes_is_taken(registry, spec):
    found = await kept(registry, **spec)
    assert {name: found[name] for name in spec} != {}


async def test_only_a_changed_spec_is_a_new_generation(registry):
    client = LocalClient(registry)
    created = await client.create(NETWORK_POLICY, policy(), namespace="default")
    assert created["metadata"]["generation"] == 1
    labelled = {"metadata": {"labels": {"team": "blue"}}}
    changed = {"spec": {"egress": [{}], "policyTypes": ["Ingress", "Egress"]}}
    for patch, generation in ((labelled, 1), (changed, 2)):
        found = await client.patch(NETWORK_POLICY, "policy-1", patch, namespace="default")
        assert found["metadata"]["generation"] == generation


async def test_an_update_is_judged_like_a_new_policy(registry):
    client = LocalClient(registry)
    await client.create(NETWORK_POLICY, policy(), namespace="default")
    with pytest.raises(ApiError, match="must specify a peer"):
        await client.patch(
            NETWORK_POLICY, "policy-1", {"spec": {"ingress": [{"from": [{}]}]}}, namespace="default"
        )


async def warned(body):
    told: list[str] = []
    async with new_registry() as registry:
        await LocalClient(registry, warn=told.append).create(NETWORK_POLICY, body, namespace="default")
    return told


@pytest.mark.parametrize(
    ("spec", "path", "warning"),
    [
        (
            from_block("10.0.0.5/8"),
            "cidr",
            'CIDR value "10.0.0.5/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.0.0.5/32"?)',
        ),
        (
            from_block("010.0.0.0/8"),
            "cidr",
            'non-standard CIDR value "010.0.0.0/8" will be considered invalid in a future Kubernetes '
            'release: use "10.0.0.0/8"',
        ),
        (
            from_block("FD00::/8"),
            "cidr",
            'IPv6 CIDR value "FD00::/8" should be in RFC 5952 canonical format ("fd00::/8")',
        ),
        (
            from_block("10.0.0.0/8", "10.1.0.1/16"),
            "except[0]",
            'CIDR value "10.1.0.1/16" is ambiguous in this context '
            '(should be "10.1.0.0/16" or "10.1.0.1/32"?)',
        ),
    ],
)
async def test_a_cidr_that_could_mean_something_else_is_warned_of(spec, path, warning):
    assert await warned(policy(**spec)) == [f"spec.ingress[0].from[0].ipBlock.{path}: {warning}"]


async def test_plain_cidrs_need_no_warning():
    assert await warned(policy(**from_block("10.0.0.0/8", "10.1.0.0/16"))) == []
    assert await warned(policy(**from_block("fd00::/8"))) == []


async def test_who_writes_a_kind_that_nothing_follows_is_warned_each_time():
    registry = Registry(
        MemoryStore(), KindTable(BUILT_IN), LoopClock(), (), {NETWORK_POLICY: "nobody enforces it"}
    )
    told: list[str] = []
    async with running(registry):
        client = LocalClient(registry, warn=told.append)
        await client.create(NETWORK_POLICY, policy(), namespace="default")
        await client.patch(NETWORK_POLICY, "policy-1", {"spec": {"egress": [{}]}}, namespace="default")
    assert told == ["nobody enforces it"] * 2
