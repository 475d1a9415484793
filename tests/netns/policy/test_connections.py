"""What policies mean beside who may ask whom: open connections, nodes, used addresses, first packets."""

from __future__ import annotations

import ipaddress
import socket

from support.clusters import fabric
from support.namespaces import run_inside
from support.policy_cluster import PolicyCluster, awaited
from support.policy_objects import PODS, Object, path_of, serving
from support.policy_words import EVERYWHERE, block, from_, pods, port, to
from support.policy_worlds import kubernetes_policy as policy

from fabric.kernel.namespaces import inside
from fabric.verify.matrix import Port
from fabric.verify.probes import Job, Patience
from fabric.verify.probing import ContinuousProbe

CLOSED = policy(policyTypes=["Ingress", "Egress"])
SECONDS_MAX = 2.0
ALONE = pods("a")
UDP, PING = Port("udp", 80), Port("icmp")


def connected(net: PolicyCluster, source: str, target: str) -> socket.socket:
    """An open connection of TCP from inside a pod to another's port 80."""
    with inside(net.pid(source)):
        return socket.create_connection((net.address(target), 80), SECONDS_MAX)


def is_answered(source: socket.socket) -> bool:
    """Whether a datagram of a connected socket is answered; of several one is enough."""
    for _ in range(10):
        source.send(b"fabric probe\n")
        try:
            return bool(source.recv(100))
        except (TimeoutError, OSError):
            continue
    return False


def test_a_nodes_rules_are_of_the_flavour_that_was_asked_for(net):
    saved = {it: run_inside(net.pid("node/node-1"), f"iptables-{it}-save") for it in ("nft", "legacy")}
    assert [it for it, rules in saved.items() if "cali-FORWARD" in rules] == [net.flavour]


def test_a_connection_that_is_open_lives_on_when_a_policy_forbids_new_ones(net):
    with connected(net, "y/a", "x/a") as far, connected(net, "x/c", "x/a") as near:
        net.put(CLOSED)
        net.settle()
        assert net.sources("x/a") == ""
        for it in (far, near):
            it.sendall(b"still there?\n")
            assert it.recv(100) == b"still there?\n"


def test_a_pod_of_the_hosts_network_is_its_node_to_policies(net):
    net.add_pod("x/host", node="node-1", hostNetwork=True)
    net.put(policy(ingress=[from_(ALONE)], egress=[], policyTypes=["Ingress", "Egress"]))
    net.settle()
    assert net.targets("y/a") == "x/host y/b y/c z/a z/b z/c"
    assert net.sources("x/a") == "x/host", "node-1 is where x/a runs"
    assert net.sources("x/b") == ""


def test_a_node_always_reaches_its_own_pods_and_other_nodes_as_policies_say(net):
    net.put(policy("closed", "x"), policy("from-pods", "y", ingress=[from_(EVERYWHERE)]))
    net.settle()
    nodes, ports = ("node/node-1", "node/node-2"), (Port("tcp", 80), UDP, PING)
    ways = [(node, pod, it) for node in nodes for pod in PODS[:6] for it in ports]
    assert net.arriving(ways) == [it for it in ways if it[0] == f"node/{net.node_of(it[1])}"]


def test_another_node_is_allowed_by_the_address_that_it_sends_from(net):
    net.put(policy(ingress=[from_(block(f"{net.source_address('node/node-2', 'x/a')}/32"))]))
    net.settle()
    assert net.arrives("node/node-2", "x/a")
    assert not net.arrives("node/node-1", "x/b")


def test_behind_a_destination_nat_a_policy_sees_the_backend_and_its_own_port(net):
    service = "10.96.0.10"
    rule = ("PREROUTING", "-d", service, "-p", "tcp", "--dport", "8080", "-j", "DNAT")
    rule += ("--to-destination", f"{net.address('y/a')}:80")
    only = to(pods("a") | EVERYWHERE, ports=[port(80)])
    way = Port("tcp", 8080)
    tool = f"iptables-{net.flavour}"
    for node in ("node-1", "node-2"):
        run_inside(net.pid(f"node/{node}"), tool, "-w", "-t", "nat", "-I", *rule)
    try:
        net.put(policy("backend", "x", podSelector={"matchLabels": {"pod": "a"}}, egress=[only]))
        net.put(
            policy(
                "service", "x", podSelector={"matchLabels": {"pod": "b"}}, egress=[to(block(f"{service}/32"))]
            )
        )
        net.put(policy("in", "y", ingress=[from_(EVERYWHERE, ports=[port(80)])]))
        net.settle()
        assert net.arrives("x/a", service, way) and net.arrives("x/c", service, way)
        assert not net.arrives("x/b", service, way)
    finally:
        for node in ("node-1", "node-2"):
            run_inside(net.pid(f"node/{node}"), tool, "-w", "-t", "nat", "-D", *rule)


def test_a_new_pod_is_never_reached_before_the_policies_that_select_it_are_in_force(net):
    """The pod's address is not known before it runs: all are asked that its node could give it."""
    net.put(policy("closed", podSelector={"matchLabels": {"new": "yes"}}))
    net.settle()
    block_of = ipaddress.ip_network(f"{net.address('x/a')}/26", strict=False)
    taken = {net.address(it) for it in net.pods}
    jobs = [Job("y/b", str(it), "udp", 80) for it in block_of if str(it) not in taken]
    with ContinuousProbe({"y/b": net.pid("y/b")}, jobs, patience=Patience(0.1, tries=1)) as probe:
        net.add_pod("x/new", node="node-1", labels={"new": "yes"})
        (asked,) = (job for job in jobs if job.address == net.address("x/new"))
        net.settle()
        before = probe.tallies[asked].counts.total()
        awaited(lambda: probe.tallies[asked].counts.total() > before + 1, "the pod is not asked")
    assert probe.tallies[asked].delivered == 0
    net.delete(policy("closed"))
    net.settle()
    assert net.arrives("y/b", "x/new", UDP)


def test_an_address_that_another_pod_takes_over_is_not_known_by_the_first_ones_labels(calico):
    calico.add_pod("y/friend", node="node-1", labels={"role": "friend"})
    address = calico.address("y/friend")
    calico.put(policy(ingress=[from_({"podSelector": {"matchLabels": {"role": "friend"}}} | EVERYWHERE)]))
    calico.settle()
    assert "y/friend" in calico.sources("x/a")
    calico.delete_pod("y/friend")
    calico.add_pod("y/stranger", node="node-1", labels={"role": "stranger"}, address=address)
    calico.settle()
    assert calico.address("y/stranger") == address
    assert "y/stranger" not in calico.sources("x/a")


def test_a_pod_that_has_completed_is_no_peer_any_more_at_its_address(calico):
    waits = ["sh", "-c", "until [ -e /tmp/done ]; do sleep 0.1; done"]
    container = {"name": "main", "image": "busybox", "command": waits}
    friend = {"matchLabels": {"role": "friend"}}
    calico.add_pod("y/friend", labels=friend["matchLabels"], containers=[container], restartPolicy="Never")
    address = calico.address("y/friend")
    calico.put(policy(ingress=[from_({"podSelector": friend} | EVERYWHERE)]))
    calico.settle()
    assert "y/friend" in calico.sources("x/a")
    done = fabric("exec", "--cluster", calico.cluster.name, "-n", "y", "friend", "--", "touch", "/tmp/done")
    assert done.returncode == 0, done.stderr
    calico.await_completion("y/friend")
    calico.add_pod("y/stranger", node="node-1", labels={"role": "stranger"}, address=address)
    calico.settle()
    assert calico.address("y/stranger") == address
    assert "y/stranger" not in calico.sources("x/a")


def test_a_connection_ends_with_its_pod_and_is_no_way_to_the_next_one_at_its_address(calico):
    calico.add_pod("x/first", node="node-2")
    address = calico.address("x/first")
    with inside(calico.pid("y/b")):
        opened = socket.socket(type=socket.SOCK_DGRAM)
    with opened:
        opened.settimeout(0.05)
        opened.connect((address, 80))
        assert is_answered(opened)
        calico.delete_pod("x/first")
        calico.put(policy())
        calico.add_pod("x/second", node="node-2", address=address)
        calico.settle()
        assert calico.address("x/second") == address
        assert not is_answered(opened)
        calico.delete(policy())
        calico.settle()
        assert is_answered(opened)


def test_a_pod_that_has_ended_is_in_no_set_any_more(calico):
    container = {"name": "main", "image": "busybox", "command": ["sleep", "1"]}
    made = serving(
        "y/ended", "node-2", labels={"role": "friend"}, containers=[container], restartPolicy="Never"
    )
    calico.put(policy(ingress=[from_({"podSelector": {"matchLabels": {"role": "friend"}}} | EVERYWHERE)]))
    calico.settle()
    node = calico.pid("node/node-1")
    calico.api.ask("POST", path_of(made, name=False), made)
    try:
        awaited(lambda: status_of(calico, made).get("podIP"), "the pod has no address")
        address = status_of(calico, made)["podIP"]
        awaited(lambda: f" {address}\n" in run_inside(node, "ipset", "save"), "the pod is in no set")
        awaited(lambda: status_of(calico, made)["phase"] == "Succeeded", "the pod does not end")
        awaited(lambda: f" {address}\n" not in run_inside(node, "ipset", "save"), "the pod stays in a set")
    finally:
        calico.api.ask("DELETE", path_of(made), {"gracePeriodSeconds": 0})


def status_of(net: PolicyCluster, pod: Object) -> Object:
    found: Object = net.api.ask("GET", path_of(pod)).get("status") or {}
    return found
