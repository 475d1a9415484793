"""What a page may leave out, what is folded, and that everything else is compared."""

from __future__ import annotations

from support.transcript import fold, matches, moved, subnets

TABLE = """NAMESPACE   POD     IP            NODE
default     pod-1   10.244.67.2   node-1
default     pod-3   10.244.48.2   node-2
"""
ROUTE = "10.244.48.0/24 via 10.244.48.0 dev flannel.1 onlink\n"


def test_a_table_of_pods_says_which_subnet_each_node_has():
    assert subnets(TABLE) == {"node-1": "10.244.67.", "node-2": "10.244.48."}


def test_subnets_differ_from_run_to_run_but_not_whose_they_are():
    said = fold(ROUTE, subnets(TABLE))
    assert said == fold(ROUTE.replace("48", "9"), {"node-1": "10.244.7.", "node-2": "10.244.9."})
    assert said != fold(ROUTE.replace("48", "7"), {"node-1": "10.244.7.", "node-2": "10.244.9."})


def test_the_pod_network_itself_is_compared():
    assert fold("-s 10.244.0.0/16", {}) == "-s 10.244.0.0/16"


def test_an_ellipsis_stands_for_lines_or_for_a_part_of_a_line():
    assert matches("fabric plan", "first\n…\nlast …\n", "first\nsecond\nthird\nlast word\n")
    assert matches("fabric plan", "…\n", "")
    assert not matches("fabric plan", "first\n…\nlast\n", "first\nsecond\n")


def test_a_line_more_or_less_is_a_difference():
    assert not matches("fabric plan", "first\n", "first\nsecond\n")
    assert not matches("fabric plan", "first\nsecond\n", "first\n")
    assert not matches("fabric plan", "", "an error\n")


def test_routes_are_compared_without_their_order_and_rules_with_it():
    assert matches("fabric exec --node node-1 -- ip route", "a\nb\n", "b\na\n")
    assert not matches("fabric exec --node node-1 -- iptables -S", "a\nb\n", "b\na\n")


def test_times_and_macs_and_process_ids_are_folded():
    assert fold("icmp_seq=1 ttl=62 time=0.21 ms", {}) == fold("icmp_seq=1 ttl=62 time=13 ms", {})
    assert fold("lladdr 0a:58:0a:f4:43:01 DELAY", {}) == fold("lladdr 0a:58:0a:f4:05:01 REACHABLE", {})
    assert fold("api     902   0", {}) == fold("api   10902   0", {})
    assert fold("api     902   0", {}) != fold("api     902   1", {})


def test_subnets_of_a_page_become_those_of_the_cluster_all_at_once():
    said = {"node-1": "10.244.47.", "node-2": "10.244.30."}
    real = {"node-1": "10.244.19.", "node-2": "10.244.47."}
    command = "ip route get 10.244.30.2 from 10.244.47.2"
    assert moved(command, said, real) == "ip route get 10.244.47.2 from 10.244.19.2"
    assert moved(command, said, {}) == command
