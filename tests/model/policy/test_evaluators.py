"""What holds of any policies: two readings agree, order means nothing to Kubernetes' ones, allowing adds."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from support.policy_worlds import PODS, Question, calico, kubernetes_policy, world

from calico.policy.evaluator import CalicoEvaluator
from fabric.policy.kubernetes import KubernetesEvaluator

ENDS = (*PODS, "node/node-1", "node/node-2", "203.0.113.7")
SERVICES = ((80, "tcp"), (81, "tcp"), (80, "udp"), (81, "sctp"), (0, "icmp"), (0, 47))

labels = st.dictionaries(st.sampled_from(["pod", "team"]), st.sampled_from(["a", "b", "c"]), max_size=2)


def optional(**fields):
    return st.fixed_dictionaries({}, optional=fields)


def expressions(keys):
    values = st.lists(st.sampled_from(["a", "b", "x", "y"]), min_size=1, max_size=2)
    key = st.sampled_from(keys)
    one_of = st.fixed_dictionaries(
        {"key": key, "operator": st.sampled_from(["In", "NotIn"]), "values": values}
    )
    alone = st.fixed_dictionaries({"key": key, "operator": st.sampled_from(["Exists", "DoesNotExist"])})
    return st.lists(one_of | alone, max_size=2)


def selectors(*keys):
    pairs = st.dictionaries(st.sampled_from(keys), st.sampled_from(["a", "b", "x", "y"]), max_size=1)
    return optional(matchLabels=pairs, matchExpressions=expressions(keys))


pod_selectors, namespace_selectors = selectors("pod", "team"), selectors("ns", "env")
blocks = st.sampled_from(
    [
        {"cidr": "10.244.0.0/16"},
        {"cidr": "10.244.0.0/16", "except": ["10.244.2.0/24", "10.244.1.1/32"]},
        {"cidr": "fd00::/64", "except": ["fd00::5/128"]},
        {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]},
        {"cidr": "192.168.0.2/32"},
    ]
)
peers = (
    st.builds(lambda block: {"ipBlock": block}, blocks)
    | st.builds(lambda pods: {"podSelector": pods}, pod_selectors)
    | st.builds(lambda spaces: {"namespaceSelector": spaces}, namespace_selectors)
    | st.fixed_dictionaries({"podSelector": pod_selectors, "namespaceSelector": namespace_selectors})
)
port_numbers = st.sampled_from([80, 81, "serve-80-tcp", "serve-81-udp", "serve-81-sctp", "nobody"])
ports = optional(protocol=st.sampled_from(["TCP", "UDP", "SCTP"]), port=port_numbers) | st.just(
    {"port": 80, "endPort": 81}
)
directions = st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"], []])


def rules(side):
    return st.lists(
        optional(**{side: st.lists(peers, max_size=2), "ports": st.lists(ports, max_size=2)}), max_size=2
    )


specs = st.fixed_dictionaries(
    {"podSelector": pod_selectors},
    optional={"policyTypes": directions, "ingress": rules("from"), "egress": rules("to")},
)
policies = st.lists(st.tuples(st.sampled_from("xyz"), specs), max_size=4).map(
    lambda found: [
        kubernetes_policy(f"p{number}", space, **spec) for number, (space, spec) in enumerate(found)
    ]
)
worlds = st.builds(
    lambda *found: {
        "namespaces": {"y": {"ns": "y", "env": "b"}},
        **{
            f"{space}_{name}": {"labels": labels}
            for (space, name), labels in zip(
                ((space, name) for space in "xyz" for name in "abc"), found, strict=True
            )
        },
    },
    *([labels] * 9),
)
flows = st.tuples(
    st.sampled_from(ENDS), st.sampled_from(ENDS), st.sampled_from(SERVICES), st.sampled_from([4, 6])
).filter(lambda it: it[3] == 4 or "203.0.113.7" not in it)


def answers(question, asked):
    return [question.allows(a, b, *service, version=version) for a, b, service, version in asked]


@settings(max_examples=150)
@given(policies, worlds, st.lists(flows, min_size=20, max_size=20))
def test_calico_and_the_specification_agree_on_kubernetes_policies(given_policies, changes, asked):
    of = world(*given_policies, **changes)
    asked = [it for it in asked if not ends_at_own_node(*it[:2])]
    assert answers(Question(of, CalicoEvaluator), asked) == answers(Question(of, KubernetesEvaluator), asked)


def ends_at_own_node(source, destination):
    """From a pod to its own node Calico has a setting of its own, of which Kubernetes says nothing."""
    return destination == {"x": "node/node-1", "y": "node/node-2", "z": "node/node-2"}.get(source[0])


@given(policies, worlds, st.lists(flows, min_size=10, max_size=10), st.randoms())
def test_the_order_of_policies_rules_peers_and_ports_means_nothing(given_policies, changes, asked, random):
    question = Question(world(*given_policies, **changes), KubernetesEvaluator)

    def shuffled(value):
        if isinstance(value, dict):
            return {key: shuffled(it) for key, it in value.items()}
        return random.sample([shuffled(it) for it in value], len(value)) if isinstance(value, list) else value

    other = Question(world(*shuffled(given_policies), **changes), KubernetesEvaluator)
    assert answers(question, asked) == answers(other, asked)


@given(policies, worlds, st.lists(flows, min_size=10, max_size=10), specs)
def test_a_rule_more_never_closes_what_is_open(given_policies, changes, asked, more):
    """Of a policy that is there already: a new one might be the first to isolate a pod."""
    if not given_policies:
        return
    first, *rest = given_policies
    spec = first["spec"]
    kept = {
        "policyTypes": spec.get("policyTypes")
        or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
    }
    both = {side: [*spec.get(side, []), *more.get(side, [])] for side in ("ingress", "egress")}
    larger = first | {"spec": spec | kept | both}
    before = answers(Question(world(first, *rest, **changes), KubernetesEvaluator), asked)
    after = answers(Question(world(larger, *rest, **changes), KubernetesEvaluator), asked)
    assert all(now or not then for then, now in zip(before, after, strict=True))


@given(policies, worlds, st.lists(flows, min_size=10, max_size=10), specs)
def test_a_policy_for_pods_that_are_isolated_already_never_closes_what_is_open(
    given_policies, changes, asked, more
):
    """Every pod is isolated in both directions by one policy of each namespace."""
    isolating = [kubernetes_policy("all", it, policyTypes=["Ingress", "Egress"]) for it in "xyz"]
    before = Question(world(*given_policies, *isolating, **changes), KubernetesEvaluator)
    extra = kubernetes_policy("more", "x", **more)
    after = Question(world(*given_policies, *isolating, extra, **changes), KubernetesEvaluator)
    pairs = zip(answers(before, asked), answers(after, asked), strict=True)
    assert all(now or not then for then, now in pairs)


@given(policies, worlds, st.lists(flows, min_size=10, max_size=10))
def test_an_earlier_tier_that_denies_all_closes_every_pod_and_one_that_passes_changes_nothing(
    given_policies, changes, asked
):
    def with_tier(action):
        rule = [{"action": action}]
        policy = calico("GlobalNetworkPolicy", "p", tier="t", selector="all()", ingress=rule, egress=rule)
        return Question(
            world(calico("Tier", "t", order=1), policy, *given_policies, **changes), CalicoEvaluator
        )

    plain = Question(world(*given_policies, **changes), CalicoEvaluator)
    assert answers(with_tier("Pass"), asked) == answers(plain, asked)
    crossing = [it for it in asked if it[0] != it[1] and it[0] in PODS]
    assert not any(answers(with_tier("Deny"), crossing))


@given(policies, worlds, st.lists(flows, min_size=10, max_size=10))
def test_a_verdict_says_who_decided_and_no_more_than_one_decision_of_each_pod(given_policies, changes, asked):
    question = Question(world(*given_policies, **changes), CalicoEvaluator)
    for source, destination, service, version in asked:
        verdict = question.verdict(source, destination, *service, version=version)
        places = [(it.direction, it.at) for it in verdict.decisions]
        assert len(places) == len(set(places)) and all(it.why for it in verdict.decisions)
        assert verdict.allowed is all(it.allowed for it in verdict.decisions)
        assert all(it.policy or it.rule is None for it in verdict.decisions)
