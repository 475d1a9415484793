"""Host endpoints, and what becomes of packets between pods, their nodes and those outside."""

from __future__ import annotations

import pytest
from support.policy_worlds import Question, calico, kubernetes_policy, world

from calico.policy.evaluator import CalicoEvaluator

OUTSIDE = "203.0.113.7"
IPIP = calico("IPPool", "pool", cidr="10.244.0.0/16", ipipMode="Always", natOutgoing=True)
PLAIN = calico("IPPool", "pool", cidr="10.244.0.0/16", natOutgoing=True)


def ask(*objects, **changes):
    return Question(world(*objects, **changes), CalicoEvaluator)


def host(name="host", node="node-1", **spec):
    return calico("HostEndpoint", name, "", {"host": node}, node=node, **({"interfaceName": "eth0"} | spec))


def gnp(name, *actions, direction="Ingress", rule=None, **spec):
    """A policy of host endpoints alone."""
    rules = [{"action": it} | (rule or {}) for it in actions]
    body = {"selector": "has(host)", "types": [direction], direction.lower(): rules} | spec
    return calico("GlobalNetworkPolicy", name, **body)


def calico_node(name, address, tunnel):
    return calico("Node", name, bgp={"ipv4Address": address, "ipv4IPIPTunnelAddr": tunnel})


NODES = (
    calico_node("node-1", "192.168.0.1/24", "10.244.1.63"),
    calico_node("node-2", "192.168.0.2/24", "10.244.2.63"),
)


def test_a_named_host_endpoint_without_policies_closes_all_but_failsafe_ports():
    question = ask(host())
    ports = (22, 6443, 80, 443, 10250)
    assert [it for it in ports if question.allows(OUTSIDE, "node/node-1", it)] == [22, 6443]
    assert [it for it in ports if question.allows("node/node-2", "node/node-1", it)] == [22, 6443]
    assert question.allows(OUTSIDE, "node/node-1", 68, "udp")
    assert [it for it in (53, 67, 68) if question.allows("node/node-1", OUTSIDE, it, "udp")] == [53, 67]
    assert [it for it in (22, 2379) if question.allows("node/node-1", OUTSIDE, it)] == [2379]
    assert question.allows("node/node-2", OUTSIDE, 80)


def test_failsafe_ports_are_felixs_to_say():
    felix = calico(
        "FelixConfiguration",
        "default",
        failsafeInboundHostPorts=[{"protocol": "tcp", "port": 80, "net": "203.0.113.0/24"}],
        failsafeOutboundHostPorts=[],
    )
    question = ask(host(), felix)
    assert question.allows(OUTSIDE, "node/node-1", 80)
    assert not question.allows("198.51.100.7", "node/node-1", 80)
    assert not question.allows(OUTSIDE, "node/node-1", 22)
    assert not question.allows("node/node-1", OUTSIDE, 53, "udp")
    of_node = calico(
        "FelixConfiguration", "node.node-1", failsafeInboundHostPorts=[{"protocol": "tcp", "port": 81}]
    )
    assert ask(host(), felix, of_node).allows(OUTSIDE, "node/node-1", 81)


@pytest.mark.parametrize("name", ["projectcalico-default-allow", "mine"])
def test_profiles_decide_where_no_policy_does(name):
    mine = calico("Profile", "mine", ingress=[{"action": "Allow"}], labelsToApply={"zone": "dmz"})
    question = ask(host(profiles=[name]), mine)
    assert question.allows(OUTSIDE, "node/node-1", 80)
    closed = calico("GlobalNetworkPolicy", "p", selector="zone == 'dmz'", types=["Ingress"])
    assert ask(host(profiles=[name]), mine, closed).allows(OUTSIDE, "node/node-1", 80) is (name != "mine")


def test_policies_of_a_host_end_at_the_host_and_leave_forwarded_packets_alone():
    question = ask(host(), gnp("p", "Deny", "Allow"), gnp("q", "Deny", direction="Egress"))
    assert not question.allows(OUTSIDE, "node/node-1", 80)
    assert question.allows(OUTSIDE, "x/a", 80) and question.allows("x/a", OUTSIDE, 80)


def test_a_host_endpoint_is_for_its_node_and_device():
    assert ask(host(node="node-2")).allows(OUTSIDE, "node/node-1", 80)
    assert ask(host(interfaceName="eth1")).allows(OUTSIDE, "node/node-1", 80)
    by_address = host(interfaceName="", expectedIPs=["192.168.0.1"])
    assert not ask(by_address).allows(OUTSIDE, "node/node-1", 80)
    assert ask(host(interfaceName="", expectedIPs=["192.168.0.9"])).allows(OUTSIDE, "node/node-1", 80)


def test_of_several_for_a_device_the_first_by_name_counts_and_a_star_where_there_is_none():
    open_ = {"profiles": ["projectcalico-default-allow"]}
    assert ask(host("a", **open_), host("b")).allows(OUTSIDE, "node/node-1", 80)
    assert not ask(host("a"), host("b", **open_)).allows(OUTSIDE, "node/node-1", 80)
    star = host("a", interfaceName="*", **open_)
    assert not ask(star, host("b")).allows(OUTSIDE, "node/node-1", 80)
    assert ask(star).allows(OUTSIDE, "node/node-1", 80)
    assert not ask(host("a", interfaceName="*")).allows(OUTSIDE, "node/node-1", 80)


def test_a_node_always_reaches_its_own_pods_and_is_reached_by_them_as_felix_is_told():
    star = host(interfaceName="*")
    question = ask(star, kubernetes_policy())
    assert question.allows("node/node-1", "x/a", 80)
    assert question.allows("x/a", "node/node-1", 80)
    for action, allowed in (("Accept", True), ("RETURN", True), ("Drop", False)):
        felix = calico("FelixConfiguration", "default", defaultEndpointToHostAction=action)
        assert ask(star, felix).allows("x/a", "node/node-1", 80) is allowed
        egress = kubernetes_policy(policyTypes=["Egress"])
        assert not ask(star, felix, egress).allows("x/a", "node/node-1", 80)


def test_a_pod_may_always_speak_neighbour_discovery_with_its_node():
    assert ask(kubernetes_policy(policyTypes=["Egress"])).allows(
        "x/a", "node/node-1", 0, "icmpv6", version=6, icmp_type=135
    )


class TestForwarded:
    """applyOnForward: what a host passes on, in at one device and out at another."""

    def test_a_packet_between_nodes_meets_both_hosts(self):
        deny = gnp("p", "Deny", applyOnForward=True)
        assert not ask(host(node="node-2"), deny).allows("x/a", "y/a")
        assert ask(host(node="node-1"), deny).allows("x/a", "y/a")
        out = gnp("p", "Deny", direction="Egress", applyOnForward=True)
        assert not ask(host(node="node-1"), out).allows("x/a", "y/a")
        assert ask(host(node="node-2"), out).allows("x/a", "y/a")

    def test_no_policy_for_a_direction_is_no_denial(self):
        assert ask(host(), host("other", "node-2")).allows("x/a", "y/a")
        allow = gnp("p", "Allow", applyOnForward=True, rule={"protocol": "UDP"})
        assert not ask(host(node="node-2"), allow).allows("x/a", "y/a", 80)
        assert ask(host(node="node-2"), allow).allows("x/a", "y/a", 80, "udp")
        assert ask(host(node="node-2"), allow).allows("y/a", "x/a", 80)

    def test_the_pods_own_policies_are_asked_as_well(self):
        allow = gnp("p", "Allow", applyOnForward=True)
        assert not ask(host(), allow, kubernetes_policy()).allows("y/a", "x/a")

    def test_a_tunnel_hides_packets_from_the_device_below_it(self):
        deny = gnp("p", "Deny", applyOnForward=True)
        assert ask(host(node="node-2"), deny, IPIP).allows("x/a", "y/a")
        assert not ask(host(node="node-2", interfaceName="tunl0"), deny, IPIP).allows("x/a", "y/a")
        assert not ask(host(node="node-2", interfaceName="*"), deny, IPIP).allows("x/a", "y/a")

    def test_nodes_of_one_subnet_need_no_tunnel_across_subnets_only(self):
        deny = gnp("p", "Deny", applyOnForward=True)
        pool = calico("IPPool", "pool", cidr="10.244.0.0/16", ipipMode="CrossSubnet")
        assert not ask(host(node="node-2"), deny, pool, *NODES).allows("x/a", "y/a")
        far = NODES[0], calico_node("node-2", "192.168.9.2/24", "10.244.2.63")
        assert ask(host(node="node-2"), deny, pool, *far).allows("x/a", "y/a")

    def test_failsafe_ports_are_of_the_host_alone(self):
        deny = gnp("p", "Deny", applyOnForward=True)
        assert not ask(host(node="node-2"), deny).allows("x/a", "y/a", 22)


class TestBeforeTheRest:
    """doNotTrack and preDNAT policies: they decide first, or not at all."""

    @pytest.mark.parametrize("stage", ["doNotTrack", "preDNAT"])
    def test_what_they_allow_no_later_policy_of_the_host_denies(self, stage):
        early = gnp("p", "Allow", applyOnForward=True, rule={"protocol": "TCP"}, **{stage: True})
        question = ask(host(), early, gnp("q", "Deny"))
        assert question.allows(OUTSIDE, "node/node-1", 80)
        assert not question.allows(OUTSIDE, "node/node-1", 80, "udp")
        forward = gnp("r", "Deny", applyOnForward=True)
        assert ask(host(), early, forward).allows(OUTSIDE, "x/a", 80)
        assert not ask(host(), early, kubernetes_policy()).allows(OUTSIDE, "x/a", 80)

    @pytest.mark.parametrize("stage", ["doNotTrack", "preDNAT"])
    def test_what_they_deny_nobody_allows_but_failsafe_ports(self, stage):
        early = gnp("p", "Deny", applyOnForward=True, **{stage: True})
        question = ask(host(profiles=["projectcalico-default-allow"]), early)
        assert not question.allows(OUTSIDE, "node/node-1", 80)
        assert question.allows(OUTSIDE, "node/node-1", 22)
        assert not question.allows(OUTSIDE, "x/a", 80)

    def test_a_star_has_pre_dnat_policies_for_pods_too_and_no_untracked_ones(self):
        star = host(interfaceName="*", profiles=["projectcalico-default-allow"])
        deny = gnp("p", "Deny", applyOnForward=True, preDNAT=True)
        assert not ask(star, deny).allows("x/a", "x/b", 80)
        assert not ask(star, deny).allows(OUTSIDE, "node/node-1", 80)
        untracked = gnp("p", "Deny", applyOnForward=True, doNotTrack=True)
        assert ask(star, untracked).allows(OUTSIDE, "node/node-1", 80)

    def test_untracked_policies_govern_what_the_host_sends(self):
        allow = gnp("p", "Allow", direction="Egress", applyOnForward=True, doNotTrack=True)
        assert ask(host(), allow).allows("node/node-1", OUTSIDE, 80)

    def test_they_do_not_apply_to_pods(self):
        every = calico("GlobalNetworkPolicy", "p", selector="all()", preDNAT=True, applyOnForward=True)
        assert ask(every).allows("y/a", "x/a")


class TestSourceAddresses:
    """A policy sees the address that a packet has when it arrives."""

    def test_a_node_sends_into_a_tunnel_with_the_tunnels_address(self):
        node, tunnel = ({"ipBlock": {"cidr": it}} for it in ("192.168.0.2/32", "10.244.2.63/32"))
        by_node, by_tunnel = (kubernetes_policy(ingress=[{"from": [it]}]) for it in (node, tunnel))
        for pool, allowed in ((PLAIN, (True, False)), (IPIP, (False, True))):
            found = [ask(it, pool, *NODES).allows("node/node-2", "x/a") for it in (by_node, by_tunnel)]
            assert tuple(found) == allowed

    def test_a_pod_reaches_another_node_with_its_own_nodes_address_where_its_pool_masquerades(self):
        allow = gnp("p", "Allow", rule={"source": {"nets": ["192.168.0.1/32"]}})
        assert ask(host(node="node-2"), allow, PLAIN).allows("x/a", "node/node-2", 80)
        kept = calico("IPPool", "pool", cidr="10.244.0.0/16")
        assert not ask(host(node="node-2"), allow, kept).allows("x/a", "node/node-2", 80)

    def test_a_host_endpoints_address_is_meant_by_its_labels(self):
        named = host(interfaceName="", expectedIPs=["192.168.0.2"], node="node-2")
        policy = calico(
            "GlobalNetworkPolicy",
            "p",
            selector="projectcalico.org/namespace == 'x'",
            ingress=[{"action": "Allow", "source": {"selector": "host == 'node-2'"}}],
        )
        allow = gnp("q", "Allow", direction="Egress")
        assert ask(named, policy, allow).allows("node/node-2", "x/a")
        assert not ask(named, policy, allow).allows("y/a", "x/a")


def test_pods_may_not_send_tunnels_packets_of_their_own():
    question = ask()
    assert not question.allows("x/a", "y/a", 4789, "udp") and not question.allows("x/a", "y/a", 0, 4)
    felix = calico(
        "FelixConfiguration",
        "default",
        allowVXLANPacketsFromWorkloads=True,
        allowIPIPPacketsFromWorkloads=True,
    )
    assert ask(felix).allows("x/a", "y/a", 4789, "udp") and ask(felix).allows("x/a", "y/a", 0, 4)


def test_the_places_on_the_way_are_told_in_order():
    allow_in, allow_out = (
        gnp(it, "Allow", direction=it, applyOnForward=True) for it in ("Ingress", "Egress")
    )
    question = ask(host(), host("other", "node-2"), allow_in, allow_out)
    told = [(it.direction, it.at) for it in question.verdict("x/a", "y/a").decisions]
    assert told == [
        ("egress", "x/a"),
        ("egress", "HostEndpoint host (node/node-1 eth0)"),
        ("ingress", "HostEndpoint other (node/node-2 eth0)"),
        ("ingress", "y/a"),
    ]
