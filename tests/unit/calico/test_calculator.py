"""The calculation of policies: as if all had been looked at, at the cost of what changed."""

from __future__ import annotations

from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st
from support.calculations import FOLLOWED, Scan, drop, endpoint_of, key_of, policy_of, things

from calico.calc.calculator import Calculator
from calico.calc.feed import put
from calico.calc.members import SetId
from calico.calc.objects import Profile, Rule, Side, Tier
from calico.selector import Selector


@given(st.lists(st.tuples(things, st.booleans(), st.booleans()), max_size=30), st.data())
def test_after_any_changes_each_view_is_as_if_all_had_been_looked_at(changes, data):
    calculator = Calculator()
    here = {}
    followed = set()
    for thing, goes, is_flushed in changes:
        if goes:
            here.pop(key_of(thing), None)
            drop(calculator, key_of(thing))
        else:
            here[key_of(thing)] = thing
            put(calculator, thing)
        if len(followed) < len(FOLLOWED) and data.draw(st.booleans()):
            followed.add(FOLLOWED[len(followed)])
            calculator.follow(FOLLOWED[len(followed) - 1])
        if is_flushed:
            calculator.flush()
    expected = Scan(here.values())
    views = {node: calculator.follow(node) for node in FOLLOWED}
    calculator.flush()
    for node, view in views.items():
        assert view.endpoints == expected.endpoints(node)
        assert set(view.rules) == {rule for it in view.endpoints.values() for rule in it.rules}
        for rules in view.rules.values():
            assert here[key_of(rules.of)] == rules.of
            for set_id in rules.sets:
                assert view.needs(set_id)
                members = calculator.members(set_id, 4) | calculator.members(set_id, 6)
                assert members == expected.members(set_id)
                assert all(":" in member for member in calculator.members(set_id, 6))
        calculator.leave(node)
        assert not view.endpoints and not view.rules and not any(map(view.needs, _all_sets(here.values())))


def _all_sets(here):
    return {
        SetId(side.selector)
        for thing in here
        for rule in (*getattr(thing, "ingress", ()), *getattr(thing, "egress", ()))
        for side in rule.sides
        if side.selector
    }


def allow_from(selector):
    return (Rule("Allow", source=Side(Selector.parse(selector))),)


def settled(*objects):
    """A calculator of these objects with the view of node-1, which has told of them."""
    calculator = Calculator()
    view = calculator.follow("node-1")
    for it in objects:
        put(calculator, it)
    calculator.flush()
    view.take_changes()
    return calculator, view


def test_a_peer_that_comes_changes_one_set_and_no_rule():
    web = SetId(Selector.parse("app == 'web'"))
    calculator, view = settled(
        endpoint_of("pod-1"), policy_of("policy-1", ingress=allow_from("app == 'web'"))
    )
    put(calculator, endpoint_of("pod-2", "node-2", labels={"app": "web"}, nets=(ip_network("10.0.0.2"),)))
    assert calculator.flush() == {"node-1"}
    assert view.take_changes() == {web}


def test_what_concerns_no_policy_of_a_node_is_not_told_there():
    calculator, view = settled(
        endpoint_of("pod-1", labels={"app": "db"}),
        policy_of("policy-1", "app == 'db'", ingress=allow_from("app == 'web'")),
    )
    put(calculator, endpoint_of("pod-2", "node-2", labels={"app": "cache"}))
    put(calculator, policy_of("policy-2", "app == 'cache'", ingress=allow_from("all()")))
    assert calculator.flush() == frozenset()
    assert view.take_changes() == frozenset()


def test_rules_that_change_leave_the_endpoints_chains_as_they_are():
    policy = policy_of("policy-1", ingress=allow_from("app == 'web'"))
    calculator, view = settled(endpoint_of("pod-1"), policy)
    put(calculator, policy_of("policy-1", ingress=allow_from("app == 'cache'")))
    calculator.flush()
    changed = {SetId(Selector.parse(f"app == '{name}'")) for name in ("web", "cache")}
    assert view.take_changes() == {policy.id, *changed}


def test_a_namespaces_label_changes_the_sets_that_its_pods_are_in():
    live = SetId(Selector.parse("pcns.stage == 'live'"))
    calculator, view = settled(
        endpoint_of("pod-1"),
        endpoint_of("pod-2", "node-2", profiles=("kns.web",), nets=(ip_network("10.0.0.2"),)),
        Profile("kns.web", labels={"pcns.stage": "test"}),
        policy_of("policy-1", ingress=allow_from("pcns.stage == 'live'")),
    )
    assert calculator.members(live, 4) == set()
    put(calculator, Profile("kns.web", labels={"pcns.stage": "live"}))
    calculator.flush()
    assert view.take_changes() == {live}
    assert calculator.members(live, 4) == {"10.0.0.2"}


def test_policies_of_a_tier_that_nobody_made_come_last():
    _, view = settled(
        endpoint_of("pod-1"),
        Tier("default", 1_000_000),
        policy_of("policy-1", tier="gone", order=1),
        policy_of("policy-2", tier="default", order=2),
    )
    (found,) = view.endpoints.values()
    assert [tier.name for tier in found.tiers] == ["default", "gone"]
