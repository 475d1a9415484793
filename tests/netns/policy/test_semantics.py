"""What NetworkPolicies mean, point by point, as packets between pods find it on each network.

Every `settle` also compares all pods, ports and protocols with the oracles.
"""

from __future__ import annotations

from support.policy_objects import PODS, SPACES, path_of
from support.policy_words import EVERYWHERE, block, from_, pods, port, spaces, to, where
from support.policy_worlds import kubernetes_policy as policy

from fabric.verify.matrix import Port

POD_A, POD_B, SPACE_Y, TO_A = pods("a"), pods("b"), spaces("y"), pods("a")
PING, UDP = Port("icmp"), Port("udp", 80)
ALL = " ".join(PODS)


def but(*names: str) -> str:
    return " ".join(it for it in PODS if it not in names)


def test_policies_add_up_and_none_takes_away_what_another_allows(net):
    net.put(
        policy("from-b", **TO_A, ingress=[from_(POD_B)]),
        policy("from-y", **TO_A, ingress=[from_(SPACE_Y)]),
    )
    net.put(policy("nobody", **TO_A, ingress=[]))
    net.settle()
    assert net.sources("x/a") == "x/b y/a y/b y/c"


def test_isolation_is_of_one_direction_and_of_the_selected_pods_alone(net):
    net.put(policy(**TO_A, policyTypes=["Ingress"]))
    net.settle()
    assert (net.sources("x/a"), net.targets("x/a")) == ("", but("x/a"))
    net.put(policy(**TO_A, policyTypes=["Egress"]))
    net.settle()
    assert (net.sources("x/a"), net.targets("x/a")) == (but("x/a"), "")
    assert (net.sources("x/b"), net.sources("y/a")) == (but("x/a", "x/b"), but("x/a", "y/a"))


def test_without_types_ingress_is_meant_and_egress_where_there_are_rules_for_it(net):
    net.put(policy(**TO_A, egress=[]))
    net.settle()
    assert (net.sources("x/a"), net.targets("x/a")) == ("", but("x/a"))
    net.put(policy(**TO_A, egress=[to(SPACE_Y)]))
    net.settle()
    assert (net.sources("x/a"), net.targets("x/a")) == ("", "y/a y/b y/c")


def test_an_empty_selector_is_every_pod_of_the_policys_own_namespace(net):
    net.put(policy(namespace="y"))
    net.settle()
    assert {it: net.sources(f"{it}/a") for it in SPACES} == {"x": but("x/a"), "y": "", "z": but("z/a")}


def test_labels_and_expressions_of_a_selector_must_all_match(net):
    both = {"matchLabels": {"pod": "a"}, **where("In", "b", "c")}
    net.put(policy(podSelector=both), policy("not-a", "y", podSelector=where("NotIn", "a")))
    net.settle()
    assert net.sources("x/a") == but("x/a")
    assert (net.sources("y/a"), net.sources("y/b"), net.sources("y/c")) == (but("y/a"), "", "")


def test_who_lacks_a_key_is_not_in_any_values_and_has_it_not(net):
    net.label("x/a", {"pod": None})
    net.put(
        policy("not-in", "z", ingress=[from_({"podSelector": where("NotIn", "b"), "namespaceSelector": {}})])
    )
    net.put(
        policy(
            "without",
            "y",
            ingress=[from_({"podSelector": where("DoesNotExist"), "namespaceSelector": {}})],
        )
    )
    net.settle()
    assert net.sources("z/b") == "x/a x/c y/a y/c z/a z/c"
    assert net.sources("y/a") == "x/a"


def test_no_rule_is_nobody_and_an_empty_rule_is_everybody(net):
    net.put(policy("absent", "x"), policy("empty", "y", ingress=[]), policy("open", "z", ingress=[{}]))
    net.settle()
    assert [net.sources(f"{it}/a") for it in SPACES] == ["", "", but("z/a")]
    assert net.arrives("node/node-1", "z/a") and net.arrives("node/node-2", "z/a")


def test_empty_peers_are_everybody_and_empty_ports_are_all_of_them(net):
    net.put(policy(**TO_A, ingress=[{"from": [], "ports": [{"port": 80}]}]))
    net.put(policy("ports", "y", **TO_A, ingress=[{"from": [POD_B], "ports": []}]))
    net.settle()
    assert (net.sources("x/a", 80), net.sources("x/a", 81)) == (but("x/a"), "")
    assert net.arrives("node/node-1", "x/a") and net.arrives("node/node-2", "x/a")
    found = {net.sources("y/a", number, protocol) for number in (80, 81) for protocol in ("tcp", "udp")}
    assert found == {"y/b"}
    assert net.arrives("y/b", "y/a", PING)


def test_selectors_in_one_peer_must_both_match_and_of_two_peers_any(net):
    net.put(policy("and", "x", **TO_A, ingress=[from_(SPACE_Y | POD_B)]))
    net.put(policy("or", "z", **TO_A, ingress=[from_(SPACE_Y, POD_B)]))
    net.settle()
    assert net.sources("x/a") == "y/b"
    assert net.sources("z/a") == "y/a y/b y/c z/b"


def test_pods_without_a_namespace_are_the_policys_own_and_an_empty_namespace_selector_is_all(net):
    net.put(policy("own", "x", **TO_A, ingress=[from_({"podSelector": {}})]))
    net.put(policy("all", "y", **TO_A, ingress=[from_(EVERYWHERE)]))
    net.put(policy("all-b", "z", **TO_A, ingress=[from_(EVERYWHERE | POD_B)]))
    net.settle()
    assert [net.sources(f"{it}/a") for it in SPACES] == ["x/b x/c", but("y/a"), "x/b y/b z/b"]


def test_every_namespace_has_its_name_as_a_label(net):
    named = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "y"}}}
    others = {"namespaceSelector": where("NotIn", "y", key="kubernetes.io/metadata.name")}
    net.put(
        policy("y", "x", **TO_A, ingress=[from_(named)]),
        policy("others", "z", **TO_A, ingress=[from_(others)]),
    )
    net.settle()
    assert net.sources("x/a") == "y/a y/b y/c"
    assert net.sources("z/a") == "x/a x/b x/c z/b z/c"


def test_a_block_means_its_addresses_but_those_excepted(net):
    cluster = block("10.244.0.0/16", "{y/a}/32", "{y/b}/32")
    net.put(policy("in", "x", **TO_A, ingress=[from_(cluster)]))
    net.put(policy("out", "z", **TO_A, egress=[to(cluster)], policyTypes=["Egress"]))
    net.settle()
    assert net.sources("x/a") == but("x/a", "y/a", "y/b")
    assert net.targets("z/a") == but("z/a", "y/a", "y/b")


def test_what_one_element_excepts_another_element_or_policy_may_allow(net):
    holed = block("10.244.0.0/16", "{y/a}/32", "{y/b}/32", "{y/c}/32")
    net.put(policy("in", "x", **TO_A, ingress=[from_(holed, block("{y/a}/32"))]))
    net.put(policy("more", "x", **TO_A, ingress=[from_(SPACE_Y | POD_B)]))
    net.settle()
    assert net.sources("x/a") == but("x/a", "y/c")


def test_a_block_of_ipv6_is_nobody_of_ipv4(net):
    net.put(policy(**TO_A, ingress=[from_(block("::/0"))]))
    net.settle()
    assert net.sources("x/a") == ""


def test_a_port_is_of_tcp_unless_it_says_otherwise_and_a_protocol_alone_is_all_its_ports(net):
    net.put(policy("tcp", "x", **TO_A, ingress=[{"ports": [{"port": 80}]}]))
    net.put(policy("udp", "y", **TO_A, ingress=[{"ports": [{"protocol": "UDP"}]}]))
    net.settle()
    ports = [(number, protocol) for number in (80, 81) for protocol in ("tcp", "udp")]
    assert [net.sources("x/a", *it) for it in ports] == [but("x/a"), "", "", ""]
    assert [net.sources("y/a", *it) for it in ports] == ["", but("y/a"), "", but("y/a")]


def test_an_entry_of_sctp_isolates_and_opens_nothing_else(net):
    net.put(policy(**TO_A, ingress=[{"ports": [{"protocol": "SCTP", "port": 80}, {"protocol": "SCTP"}]}]))
    net.settle()
    assert (net.sources("x/a"), net.sources("x/a", 80, "udp")) == ("", "")
    assert not net.arrives("x/b", "x/a", PING)


def test_a_named_port_is_the_number_that_each_destination_gives_it(net):
    net.add_pod("x/d", node="node-2", first=81)
    named = [{"port": "serve-80-tcp"}]
    net.put(policy("in", "x", ingress=[{"ports": named}]))
    net.settle()
    assert (net.sources("x/a", 80), net.sources("x/a", 81)) == (f"x/b x/c x/d {but(*PODS[:3])}", "")
    assert (net.sources("x/d", 80), net.sources("x/d", 81)) == ("", ALL)
    net.delete(policy("in", "x"))
    net.put(policy("out", "y", **TO_A, policyTypes=["Egress"], egress=[{"ports": named}]))
    net.settle()
    assert "x/d" in net.targets("y/a", 81) and "x/d" not in net.targets("y/a", 80)
    assert "x/a" in net.targets("y/a", 80) and "x/a" not in net.targets("y/a", 81)


def test_a_name_of_another_protocol_or_of_nobody_matches_nothing(net):
    ports = [{"port": "nobody"}, {"port": "serve-80-tcp", "protocol": "UDP"}]
    net.put(policy(**TO_A, ingress=[{"ports": ports}]))
    net.settle()
    assert (net.sources("x/a"), net.sources("x/a", 80, "udp")) == ("", "")


def test_a_range_of_ports_has_both_its_ends(net):
    net.put(policy("low", "x", **TO_A, ingress=[{"ports": [{"port": 1, "endPort": 80}]}]))
    net.put(policy("high", "y", **TO_A, ingress=[{"ports": [{"port": 81, "endPort": 65535}]}]))
    net.put(policy("two", "z", **TO_A, ingress=[{"ports": [{"port": 80, "endPort": 81, "protocol": "UDP"}]}]))
    net.settle()
    assert (net.sources("x/a", 80), net.sources("x/a", 81)) == (but("x/a"), "")
    assert (net.sources("y/a", 80), net.sources("y/a", 81)) == ("", but("y/a"))
    assert (net.sources("z/a", 81), net.sources("z/a", 81, "udp")) == ("", but("z/a"))


def test_a_connection_needs_the_word_of_both_ends_and_its_replies_need_none(net):
    net.put(policy("out", "x", **TO_A, policyTypes=["Egress"], egress=[to(SPACE_Y)]))
    net.put(
        policy(
            "in",
            "y",
            policyTypes=["Ingress", "Egress"],
            ingress=[from_(EVERYWHERE | POD_A)],
        )
    )
    net.put(policy("not-b", "y", podSelector=POD_B["podSelector"], ingress=[]))
    net.settle()
    assert net.targets("x/a") == "y/a y/b y/c"
    assert net.targets("x/b") == but("x/b", "y/a", "y/b", "y/c")
    assert net.targets("y/a") == ""


def test_a_policy_for_port_80_does_not_open_ping_and_one_without_ports_does(net):
    net.put(policy(**TO_A, ingress=[{"from": [POD_B], "ports": [{"port": 80}]}, from_(SPACE_Y)]))
    net.settle()
    assert [net.arrives(it, "x/a", PING) for it in ("x/b", "y/a", "z/a")] == [False, True, False]


def test_labels_that_change_count_at_once_on_every_node(net):
    net.put(policy(ingress=[from_({"namespaceSelector": {"matchLabels": {"team": "red"}}} | POD_B)]))
    net.settle()
    assert net.sources("x/a") == ""
    net.label("y", {"team": "red"})
    net.settle()
    assert (net.sources("x/a"), net.sources("x/b")) == ("y/b", "y/b")
    net.label("y/c", {"pod": "b"})
    net.label("y/b", {"pod": "other"})
    net.settle()
    assert (net.sources("x/a"), net.sources("x/b")) == ("y/c", "y/c")


def test_a_pod_reaches_itself_whatever_policies_say(net):
    net.put(policy(policyTypes=["Ingress", "Egress"]))
    net.settle()
    assert all(net.arrives(it, it) and net.arrives(it, it, UDP) for it in ("x/a", "x/b"))
    assert (net.targets("x/a"), net.sources("x/a")) == ("", "")


def test_a_field_that_nobody_knows_opens_nothing(net):
    known = policy(**TO_A, ingress=[from_(POD_B, ports=[port(80)])])
    net.put(known)
    strange = from_(POD_B | {"nodeSelector": {}}, ports=[port(80) | {"lastPort": 81}])
    net.api.ask("PATCH", path_of(known), {"spec": {"ingress": [strange], "allowAll": True}})
    net.settle()
    assert (net.sources("x/a", 80), net.sources("x/a", 81)) == ("x/b", "")


def test_a_deleted_policy_leaves_nothing(net):
    net.put(policy(policyTypes=["Ingress", "Egress"]))
    net.settle()
    net.delete(policy())
    net.settle()
    assert (net.sources("x/a"), net.targets("x/a")) == (but("x/a"), but("x/a"))
