"""Policies of one selector that follow each other in a tier are led to by a chain of their own."""

from __future__ import annotations

from support.policy_worlds import calico

from calico.calc import reading
from calico.calc.calculator import Calculator
from calico.calc.feed import put
from calico.calc.objects import Endpoint, EndpointId, PolicyId
from calico.felix.options import RuleOptions
from calico.felix.policy_groups import PolicyGroup
from calico.felix.policy_state import PolicySite, PolicyState
from calico.resources.felix import DEFAULTS
from calico.resources.table import RESOURCE_TYPES
from calico.resources.tiers import own_tiers
from fabric.netstate.objects import Chain

DEVICES = ("cali1", "cali2")


def policy(name: str, order: int, selector: str = "all()", **spec):
    rules = {"types": ["Ingress"], "ingress": [{"action": "Allow"}]} | spec
    return calico("GlobalNetworkPolicy", name, order=order, selector=selector, **rules)


class Node:
    """A node with two pods, of which the first has the label a."""

    def __init__(self, *objects) -> None:
        self.calculator = Calculator()
        self.state = PolicyState(self.calculator, "node-1")
        for tier in own_tiers():
            put(self.calculator, reading.thing(tier))
        self.put(*objects)
        for number, device in enumerate(DEVICES):
            labels = {"a": "yes"} if not number else {}
            endpoint = EndpointId("WorkloadEndpoint", "default", device)
            put(self.calculator, Endpoint(endpoint, labels, (), (), (), "node-1", device))

    def put(self, *objects) -> None:
        for obj in objects:
            put(self.calculator, reading.thing(RESOURCE_TYPES[obj["kind"]].from_object(obj)))

    def chains(self, options=None) -> dict[str, list[str]]:
        """The rules of each chain of the table filter, without the hashes in their comments."""
        self.calculator.flush()
        site = PolicySite(options or RuleOptions(DEFAULTS, ("cali",)), (4,), "eth0", frozenset())
        objects = [it for part in self.state.parts(site).values() for it in part]
        return {
            it.name: [_without_hash(str(rule)) for rule in it.rules]
            for it in objects
            if isinstance(it, Chain) and it.table == "filter"
        }


def _without_hash(rule: str) -> str:
    words = rule.split()
    at = next(index for index, word in enumerate(words) if "cali:" in word)
    return " ".join((*words[: at - 3], *words[at + 1 :]))


def groups(chains) -> dict[str, list[str]]:
    return {name: rules for name, rules in chains.items() if name.startswith(("cali-gi-", "cali-go-"))}


def test_two_policies_of_one_selector_are_a_group_and_a_third_one_between_is_not():
    chains = Node(policy("one", 1), policy("two", 2)).chains()
    ((name, rules),) = groups(chains).items()
    assert rules == ["-j cali-pi-gnp/one", "-m mark --mark 0x0/0x30000 -j cali-pi-gnp/two"]
    for device in DEVICES:
        assert f"-m mark --mark 0x0/0x20000 -j {name}" in chains[f"cali-tw-{device}"]
        assert not [rule for rule in chains[f"cali-tw-{device}"] if "cali-pi-" in rule]
    assert {"cali-pi-gnp/one", "cali-pi-gnp/two"} <= chains.keys()
    apart = Node(policy("one", 1), policy("of-a", 2, "has(a)"), policy("two", 3)).chains()
    assert len(groups(apart)) == 1, "the second pod has no policy between the two"
    assert not [rule for rule in apart["cali-tw-cali1"] if "cali-gi-" in rule]


def test_after_five_policies_a_group_returns_if_one_of_them_decided():
    chains = Node(*(policy(f"p{number}", number) for number in range(1, 8))).chains()
    (rules,) = groups(chains).values()
    assert rules[5] == '-m comment --comment "Return on verdict" -m mark ! --mark 0x0/0x30000 -j RETURN'
    assert rules[6:] == ["-j cali-pi-gnp/p6", "-m mark --mark 0x0/0x30000 -j cali-pi-gnp/p7"]


def test_the_directions_have_groups_of_their_own_of_the_policies_that_are_about_them():
    both = {"types": ["Ingress", "Egress"], "egress": [{"action": "Pass"}]}
    chains = Node(policy("one", 1, **both), policy("two", 2, **both), policy("three", 3)).chains()
    lengths = {name[:8]: len(rules) for name, rules in groups(chains).items()}
    assert lengths == {"cali-gi-": 3, "cali-go-": 2}


def test_a_group_goes_when_its_policies_do_and_stays_when_the_nodes_settings_change():
    node = Node(policy("one", 1), policy("two", 2))
    before = groups(node.chains())
    assert before
    assert groups(node.chains(RuleOptions(DEFAULTS, ("cali", "azv")))) == before
    node.put(policy("two", 2, "has(a)"))
    assert not groups(node.chains())


def test_host_endpoints_have_the_groups_of_each_stage_and_keep_them_when_settings_change():
    forward = {"applyOnForward": True}
    guard = calico("HostEndpoint", "host", node="node-1", interfaceName="eth0")
    node = Node(guard, policy("one", 1, **forward), policy("two", 2, **forward), policy("three", 3))
    chains = node.chains()
    assert sorted(map(len, groups(chains).values())) == [2, 3]
    assert groups(node.chains(RuleOptions(DEFAULTS, ("azv",)))) == groups(chains)


def test_a_groups_name_is_felixs_hash_over_selector_direction_and_policies():
    policies = tuple(PolicyId("GlobalNetworkPolicy", "", name) for name in ("a", "b"))
    group = PolicyGroup("ingress", "all()", policies)
    assert group.chain_name == "cali-gi-js-B7zioflPRrAki3OCu"
