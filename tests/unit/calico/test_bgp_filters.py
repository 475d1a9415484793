"""BGPFilters: what a rule may say, and what it says in BIRD's language."""

from typing import Any

import pytest
from support.calico_bgp import bgp_filter

from calico.bgp import filters
from calico.resources.refusals import InvalidResource


def rule(**conditions: Any) -> str:
    """The statement of one rule of an import, in one line."""
    made = bgp_filter("filter-1", importV4=[{"action": "Accept", **conditions}])
    (function,) = filters.functions(made)
    return " ".join(function.body.split())


@pytest.mark.parametrize(
    ("operator", "condition"),
    [
        ("Equal", "net = 10.0.0.0/8"),
        ("NotEqual", "net != 10.0.0.0/8"),
        ("In", "net ~ 10.0.0.0/8"),
        ("NotIn", "net !~ 10.0.0.0/8"),
    ],
)
def test_operators_are_birds(operator: str, condition: str):
    assert rule(cidr="10.0.0.0/8", matchOperator=operator) == f"if {condition} then {{ accept; }}"


@pytest.mark.parametrize(
    ("bounds", "condition"),
    [
        ({"min": 24, "max": 28}, "{24,28}"),
        ({"min": 24}, "{24,32}"),
        ({"max": 28}, "{8,28}"),
        ({"min": 4}, "{8,32}"),
    ],
)
def test_an_open_bound_is_the_prefix_s_own_or_the_longest(bounds: dict[str, int], condition: str):
    text = rule(cidr="10.0.0.0/8", matchOperator="In", prefixLength=bounds)
    assert text == f"if net ~ [ 10.0.0.0/8{condition} ] then {{ accept; }}"


def test_a_rule_without_conditions_is_its_action():
    assert rule() == "accept;"
    assert rule(action="Reject") == "reject;"


def test_all_conditions_must_hold():
    text = rule(source="RemotePeers", interface="eth*", communities={"values": ["65000:1:2"]})
    assert (
        text
        == 'if source = RTS_BGP && ifname ~ "eth*" && (65000, 1, 2) ~ bgp_large_community then { accept; }'
    )


def test_numbers_are_prepended_so_that_the_first_comes_first():
    text = rule(operations=[{"prependASPath": {"prefix": [65001, "1.10"]}}])
    assert text == "bgp_path.prepend(65546); bgp_path.prepend(65001); accept;"


def test_a_priority_travels_as_local_preference():
    assert rule(priority=1024) == "if bgp_local_pref = 2147482623 then { accept; }"
    assert rule(operations=[{"setPriority": {"value": 512}}]) == "bgp_local_pref = 2147483135; accept;"


def test_who_asks_a_filter_says_what_kind_of_peer_it_is_only_where_a_rule_wants_to_know():
    plain = bgp_filter("plain", exportV4=[{"action": "Reject"}])
    typed = bgp_filter("typed", exportV4=[{"action": "Reject", "peerType": "iBGP"}])
    assert filters.call(plain, "export", 4, is_internal=True) == "bgp_plain_exportFilterV4();"
    assert filters.call(typed, "export", 4, is_internal=False) == "bgp_typed_exportFilterV4(false);"
    assert filters.call(typed, "import", 4, is_internal=True) == ""
    assert filters.call(typed, "export", 6, is_internal=True) == ""


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"communities": {}}, "communities.values"),
        ({"communities": {"values": ["65000:1", "65000:2"]}}, "communities.values"),
        ({"communities": {"values": ["70000:1"]}}, "communities.values[0]"),
        ({"communities": {"values": ["gold"]}}, "communities.values[0]"),
        ({"interface": 'eth"0'}, "interface"),
        ({"operations": ["fly"]}, "operations[0]"),
        ({"operations": [{"addCommunity": {"value": "1:2"}, "setPriority": {"value": 1}}]}, "operations[0]"),
        ({"operations": [{"addCommunity": {"value": "x"}}]}, "operations[0].addCommunity.value"),
        ({"operations": [{"prependASPath": {"prefix": []}}]}, "operations[0]"),
        ({"operations": [{"prependASPath": {"prefix": [1, -1]}}]}, "operations[0].prependASPath.prefix[1]"),
        ({"operations": [{"setPriority": {"value": True}}]}, "operations[0].setPriority.value"),
        ({"action": "Reject", "operations": [{"setPriority": {"value": 1}}]}, "operations"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_its_path(more: dict[str, Any], path: str):
    with pytest.raises(InvalidResource) as refusal:
        bgp_filter("filter-1", exportV4=[{"action": "Accept", **more}])
    assert [it.path for it in refusal.value.refusals] == [f"spec.exportV4[0].{path}"]
