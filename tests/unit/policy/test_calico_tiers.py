"""Tiers, orders and actions of Calico's policies: which rule decides."""

from __future__ import annotations

import pytest
from support.policy_worlds import PODS, Question, calico, kubernetes_policy, world

from calico.policy.evaluator import CalicoEvaluator

EVERY = set(PODS)
OF_X = {"x/a", "x/b", "x/c"}


def ask(*objects, **changes):
    return Question(world(*objects, **changes), CalicoEvaluator)


def gnp(name, *rules, tier="default", order=None, selector="all()", **spec):
    """A policy of the whole cluster for ingress, with rules such as `Allow` or `("Deny", source)`."""
    body = {"tier": tier, "selector": selector, "types": ["Ingress"], "ingress": [rule(it) for it in rules]}
    return calico("GlobalNetworkPolicy", name, **body | ({} if order is None else {"order": order}) | spec)


def rule(it):
    if isinstance(it, dict):
        return it
    action, source = it if isinstance(it, tuple) else (it, None)
    return {"action": action} | ({"source": {"selector": source}} if source else {})


def tier(name, order=None, action="Deny"):
    return calico("Tier", name, defaultAction=action, **({} if order is None else {"order": order}))


FROM_A, FROM_B = "pod == 'a'", "pod == 'b'"


def test_the_copy_that_kube_controllers_keeps_of_a_networkpolicy_is_no_second_policy():
    copy = calico("NetworkPolicy", "knp.default.policy", "x", order=1000, types=["Ingress"])
    both = CalicoEvaluator(world(kubernetes_policy(), copy)).describe()
    assert [it.policy["metadata"]["name"] for it in both] == ["policy"]
    alone = CalicoEvaluator(world(copy)).describe()
    assert [it.policy["metadata"]["name"] for it in alone] == ["knp.default.policy"]


@pytest.mark.parametrize(
    ("objects", "allowed", "why"),
    [
        ([], True, "no policy applies for ingress, and profile kns.x allows it"),
        ([gnp("p", "Allow")], True, "GlobalNetworkPolicy p spec.ingress[0] allows it (tier default)"),
        ([gnp("p", "Deny")], False, "GlobalNetworkPolicy p spec.ingress[0] denies it (tier default)"),
        ([gnp("p")], False, "GlobalNetworkPolicy p applies, no rule matches"),
        ([gnp("p", "Log", "Allow")], True, "spec.ingress[1] allows it"),
        ([gnp("p", "Log")], False, "no rule matches, and the end of tier default denies"),
        ([gnp("p", "Pass", "Deny")], True, "every tier passed it on, and profile kns.x allows it"),
        # Of two policies of a tier the lower order is read first, one without an order last, then the name.
        ([gnp("a", "Deny", order=2), gnp("b", "Allow", order=1)], True, "GlobalNetworkPolicy b"),
        ([gnp("a", "Deny"), gnp("b", "Allow", order=9e9)], True, "GlobalNetworkPolicy b"),
        ([gnp("a", "Deny", order=1), gnp("b", "Allow", order=1)], False, "GlobalNetworkPolicy a"),
        ([gnp("b", "Deny", order=1.5), gnp("a", "Allow", order=1.25)], True, "GlobalNetworkPolicy a"),
        ([gnp("a", ("Deny", FROM_B)), gnp("b", "Allow")], True, "GlobalNetworkPolicy b"),
        # Kubernetes' policies have order 1000 in tier default.
        ([gnp("a", "Deny", order=999), kubernetes_policy(ingress=[{}])], False, "GlobalNetworkPolicy a"),
        ([gnp("a", "Deny", order=1001), kubernetes_policy(ingress=[{}])], True, "NetworkPolicy x/policy"),
        ([gnp("z", "Allow", order=1000), kubernetes_policy("y")], True, "GlobalNetworkPolicy z"),
        # Tiers are read by order, and those without one, or without an object, come last.
        ([tier("t", 1), gnp("p", "Deny", tier="t"), gnp("q", "Allow")], False, "GlobalNetworkPolicy p"),
        ([tier("t", 2e6), gnp("p", "Deny", tier="t"), gnp("q", "Allow")], True, "GlobalNetworkPolicy q"),
        ([tier("t"), gnp("p", "Deny", tier="t"), gnp("q", "Allow")], True, "GlobalNetworkPolicy q"),
        ([gnp("p", "Deny", tier="a"), gnp("q", "Allow")], True, "GlobalNetworkPolicy q"),
        ([gnp("p", "Deny", tier="a"), gnp("q", "Pass")], False, "GlobalNetworkPolicy p"),
        ([tier("t", 1), tier("u", 1), gnp("p", "Deny", tier="u"), gnp("q", "Allow", tier="t")], True, " q"),
        # Pass skips the rest of its tier, and the end of a tier denies unless its default is Pass.
        (
            [tier("t", 1), gnp("p", "Pass", "Deny", tier="t"), gnp("q", "Allow")],
            True,
            "GlobalNetworkPolicy q",
        ),
        ([tier("t", 1), gnp("p", ("Allow", FROM_B), tier="t"), gnp("q", "Allow")], False, "end of tier t"),
        ([tier("t", 1, "Pass"), gnp("p", ("Allow", FROM_B), tier="t"), gnp("q", "Deny")], False, " q spec"),
        ([tier("t", 1, "Pass"), gnp("p", tier="t")], True, "every tier passed it on, and profile kns.x"),
        # A tier with no policy for this endpoint and direction is not there.
        ([tier("t", 1), gnp("p", "Deny", tier="t", selector="pod == 'c'")], True, "profile kns.x"),
        ([tier("t", 1), gnp("p", "Deny", tier="t", types=["Egress"], egress=[])], True, "profile kns.x"),
        # The tiers of Kubernetes' cluster policies stand around the default one, and pass by default.
        ([gnp("p", "Deny", tier="kube-admin"), gnp("q", "Allow", order=1)], False, "GlobalNetworkPolicy p"),
        ([gnp("p", ("Deny", FROM_B), tier="kube-admin")], True, "profile kns.x"),
        ([gnp("p", "Deny", tier="kube-baseline"), gnp("q", "Allow")], True, "GlobalNetworkPolicy q"),
    ],
)
def test_the_deciding_rule_of_a_table_of_tiers(objects, allowed, why):
    """Asked is from y/a to x/b, where only ingress is governed (and egress of the rows that say so)."""
    verdict = ask(*objects).verdict("y/a", "x/b")
    (ingress,) = verdict.of("ingress")
    assert ingress.allowed is allowed and why in ingress.why


def test_a_namespaces_policies_are_ordered_together_with_the_clusters():
    here = calico("NetworkPolicy", "p", "x", selector="all()", order=5, ingress=[{"action": "Deny"}])
    assert not ask(here, gnp("q", "Allow", order=6)).allows("y/a", "x/b")
    assert ask(here, gnp("q", "Allow", order=4)).allows("y/a", "x/b")
    assert ask(here).allows("x/a", "y/b")


@pytest.mark.parametrize(
    ("spec", "governed"),
    [
        ({}, {"ingress"}),
        ({"ingress": [{"action": "Deny"}]}, {"ingress"}),
        ({"egress": [{"action": "Deny"}]}, {"egress"}),
        ({"ingress": [{"action": "Deny"}], "egress": [{"action": "Deny"}]}, {"ingress", "egress"}),
        ({"types": ["Egress"], "ingress": [{"action": "Deny"}]}, {"egress"}),
        ({"types": ["Ingress", "Egress"]}, {"ingress", "egress"}),
    ],
)
def test_types_are_those_of_the_rules_where_none_are_named_which_is_not_kubernetes_way(spec, governed):
    question = ask(calico("NetworkPolicy", "p", "x", selector="pod == 'a'", **spec))
    closed = {"ingress": not question.sources("x/a"), "egress": not question.targets("x/a")}
    assert {direction for direction, is_closed in closed.items() if is_closed} == governed


def test_log_and_pass_are_told_and_so_is_why_other_rules_did_not_match():
    verdict = ask(tier("t", 1), gnp("p", "Log", "Pass", tier="t"), gnp("q", ("Allow", FROM_B))).verdict(
        "y/a", "x/b"
    )
    (ingress,) = verdict.of("ingress")
    assert ingress.notes == (
        "GlobalNetworkPolicy p spec.ingress[0] logs it",
        "GlobalNetworkPolicy p spec.ingress[1] passes it on from tier t",
        'GlobalNetworkPolicy q spec.ingress[0]: 10.244.2.4 is nobody that pod == "b" selects',
    )
    assert ingress.selected_by == ("GlobalNetworkPolicy p", "GlobalNetworkPolicy q")


DENY = {"selector": "all()", "types": ["Ingress"], "ingress": [{"action": "Deny"}]}


class TestStaged:
    """Staged policies are shown, and enforced only when it is asked what would be."""

    def asked(self, *objects):
        question = ask(*objects)
        return [question.allows("y/a", "x/b", staged=it) for it in (False, True)]

    @pytest.mark.parametrize("kind", ["StagedGlobalNetworkPolicy", "StagedNetworkPolicy"])
    def test_a_staged_policy_would_be_one(self, kind):
        namespace = "x" if kind == "StagedNetworkPolicy" else ""
        assert self.asked(calico(kind, "p", namespace, **DENY)) == [True, False]

    def test_it_would_replace_the_one_of_its_name(self):
        staged = calico("StagedGlobalNetworkPolicy", "p", stagedAction="Set", **DENY)
        assert self.asked(gnp("p", "Allow", order=1), staged) == [True, False]
        assert self.asked(gnp("other", "Allow", order=1), staged) == [True, True]

    def test_it_would_delete_the_one_of_its_name(self):
        staged = calico("StagedGlobalNetworkPolicy", "p", stagedAction="Delete")
        assert self.asked(gnp("p", "Deny"), staged) == [False, True]

    @pytest.mark.parametrize("action", ["Ignore", "Learn"])
    def test_one_that_is_ignored_changes_nothing(self, action):
        staged = calico("StagedGlobalNetworkPolicy", "p", stagedAction=action, **DENY)
        assert self.asked(staged) == [True, True]

    def test_a_staged_policy_of_kubernetes_would_isolate(self):
        staged = calico("StagedKubernetesNetworkPolicy", "p", "x", podSelector={}, policyTypes=["Ingress"])
        assert self.asked(staged) == [True, False]
        assert self.asked(staged, kubernetes_policy("q", ingress=[{}])) == [True, True]

    def test_a_tier_of_staged_policies_alone_drops_nothing(self):
        objects = tier("t", 1), calico("StagedGlobalNetworkPolicy", "p", tier="t", selector="all()")
        assert self.asked(*objects) == [True, False]
