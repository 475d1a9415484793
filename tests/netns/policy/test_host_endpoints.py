"""Host endpoints on real packets: what enters and leaves a node, what it forwards, and what stays open.

The first node is guarded, the second one is not; both serve ports 22, 80 and 81.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from support.clusters import TOP
from support.namespaces import run_inside
from support.policy_cluster import PolicyCluster, awaited
from support.policy_objects import Object
from support.policy_worlds import calico as obj

from fabric.verify.matrix import Port

GUARDED, OTHER, CONTROL_PLANE = "node/node-1", "node/node-2", "192.168.0.2"
SSH, WEB, ALT = Port("tcp", 22), Port("tcp", 80), Port("tcp", 81)
UDP, PING = Port("udp", 80), Port("icmp")
OWN, FAR = "x/a", "x/b"
"""A pod of the guarded node, and one of the other."""
MINE = "role == 'guarded'"
ALLOW: Object = {"action": "Allow"}
FORWARD = {"applyOnForward": True}


@pytest.fixture(scope="module")
def hosts(vxlan: PolicyCluster):
    """The cluster whose nodes serve."""
    server = [sys.executable, "-S", "-m", "fabric.runtime.builtin.echo", "--tcp", "22,80,81", "--udp", "80"]
    with ExitStack() as stack:
        for node in (GUARDED, OTHER):
            enter = ["nsenter", "-t", str(vxlan.pid(node)), "-n"]
            served = stack.enter_context(
                subprocess.Popen([*enter, *server], cwd=TOP, stdout=subprocess.DEVNULL)
            )
            stack.callback(served.terminate)
        yield vxlan


@pytest.fixture
def net(hosts: PolicyCluster):
    yield hosts
    hosts.reset()


def host_endpoint(name: str = "guard", **spec: Any) -> Object:
    return obj("HostEndpoint", name, labels={"role": "guarded"}, node="node-1", **spec)


def on_eth0(**spec: Any) -> Object:
    return host_endpoint(interfaceName="eth0", **spec)


def host_policy(name: str = "of-host", **spec: Any) -> Object:
    return obj("GlobalNetworkPolicy", name, selector=MINE, **spec)


def felix(**spec: Any) -> Object:
    """The settings of the guarded node alone."""
    return obj("FelixConfiguration", "node.node-1", **spec)


def rule(action: str, port: Port, **more: Any) -> Object:
    return {
        "action": action,
        "protocol": port.protocol.upper(),
        "destination": {"ports": [port.number]},
    } | more


def becomes(net: PolicyCluster, source: str, target: str, port: Port, arrives: bool) -> None:
    """Wait until it is so that a packet arrives, or does not."""
    words = "arrive" if arrives else "stay away"
    awaited(
        lambda: net.arrives(source, target, port) is arrives, f"{source} to {target} {port} does not {words}"
    )


def is_guarded(net: PolicyCluster) -> None:
    """What a host endpoint without policies does: it closes the node but for failsafe ports."""
    becomes(net, OTHER, GUARDED, WEB, False)
    closed = [(FAR, GUARDED, WEB), (OTHER, GUARDED, UDP), (OTHER, GUARDED, PING), (GUARDED, OTHER, WEB)]
    assert net.arriving(closed) == []
    free = [
        (OTHER, GUARDED, SSH),
        (GUARDED, OWN, WEB),
        (OWN, GUARDED, WEB),
        (FAR, OWN, WEB),
        (OWN, FAR, WEB),
        (OWN, OTHER, WEB),
    ]
    assert net.arriving(free) == free


@contextmanager
def translated(net: PolicyCluster, number: int) -> Iterator[None]:
    """Have the guarded node lead that port to port 80 of its pod."""
    tail = ("PREROUTING", "-p", "tcp", "--dport", str(number), "-j", "DNAT")
    tail += ("--to-destination", f"{net.address(OWN)}:80")
    tool = (f"iptables-{net.flavour}", "-w", "-t", "nat")
    run_inside(net.pid(GUARDED), *tool, "-I", *tail)
    try:
        yield
    finally:
        run_inside(net.pid(GUARDED), *tool, "-D", *tail)


@pytest.mark.parametrize(
    "spec",
    [{"interfaceName": "eth0"}, {"expectedIPs": ["{node/node-1}"]}, {"interfaceName": "*"}],
    ids=["named", "by-address", "all"],
)
def test_a_host_endpoint_closes_its_node_and_neither_its_pods_nor_what_it_forwards(net, spec):
    net.put(host_endpoint(**spec))
    net.settle()
    is_guarded(net)
    net.delete(host_endpoint(**spec))
    becomes(net, OTHER, GUARDED, WEB, True)


def test_a_host_endpoint_of_another_device_or_address_guards_nothing(net):
    net.put(host_endpoint("one", interfaceName="eth7"), host_endpoint("two", expectedIPs=["192.0.2.1"]))
    net.settle()
    assert net.arrives(OTHER, GUARDED, WEB)


def test_a_profile_says_what_becomes_of_packets_that_no_policy_judges(net):
    net.put(on_eth0(profiles=["projectcalico-default-allow"]))
    net.settle()
    ways = [(OTHER, GUARDED, WEB), (OTHER, GUARDED, PING), (GUARDED, OTHER, WEB)]
    assert net.arriving(ways) == ways
    net.put(host_policy(ingress=[rule("Allow", WEB)]))
    net.settle()
    becomes(net, OTHER, GUARDED, ALT, False)
    assert net.arriving([*ways, (OTHER, GUARDED, UDP)]) == [ways[0], ways[2]]


def test_policies_open_a_node_to_whom_they_name_in_the_direction_they_are_for(net):
    net.put(on_eth0(), host_policy(ingress=[rule("Allow", WEB, source={"nets": ["{node/node-2}/32"]})]))
    net.settle()
    becomes(net, OTHER, GUARDED, WEB, True)
    assert net.arrives(FAR, GUARDED, WEB), "a pod comes to another node with its own node's address"
    assert net.arriving([(OTHER, GUARDED, ALT), (FAR, GUARDED, ALT), (GUARDED, OTHER, WEB)]) == []
    net.put(host_policy("out", egress=[rule("Allow", ALT)]))
    net.settle()
    becomes(net, GUARDED, OTHER, ALT, True)
    assert not net.arrives(GUARDED, OTHER, WEB)


def test_a_rule_knows_a_node_by_the_labels_of_a_host_endpoint_and_its_addresses(net):
    sender = net.source_address(OTHER, OWN)
    of_hosts = {"selector": MINE, "namespaceSelector": "global()"}
    ingress = [{"action": "Allow", "source": of_hosts}]
    known = {"role": "guarded"}
    net.put(
        obj("HostEndpoint", "known", labels=known, node="node-2", interfaceName="eth7", expectedIPs=[sender]),
        obj("NetworkPolicy", "from-hosts", "x", selector="pod == 'a'", ingress=ingress),
    )
    net.settle()
    becomes(net, OTHER, OWN, WEB, True)
    assert not net.arrives("y/b", OWN, WEB)


def test_a_policy_is_asked_of_what_is_forwarded_only_if_it_says_so(net):
    deny = [rule("Deny", ALT), ALLOW]
    net.put(on_eth0(), host_policy(ingress=deny, egress=deny))
    net.settle()
    assert net.arrives(FAR, OWN, ALT) and net.arrives(OWN, OTHER, ALT)
    net.put(host_policy(ingress=deny, egress=deny, **FORWARD))
    net.settle()
    becomes(net, OWN, OTHER, ALT, False)
    assert net.arrives(OWN, OTHER, WEB)


def test_what_is_forwarded_to_a_pod_is_asked_of_the_host_endpoint_for_all_devices_too(net):
    deny = rule("Deny", ALT)
    deny["destination"]["nets"] = ["{x/a}/32"]
    net.put(
        host_endpoint(interfaceName="*"),
        host_policy(types=["Ingress", "Egress"], ingress=[ALLOW], egress=[deny, ALLOW], **FORWARD),
    )
    net.settle()
    assert net.sources(OWN, 81) == "", "those of its own node neither"
    assert "x/b" in net.sources(OWN, 80) and "x/c" in net.sources(OWN, 80)


def test_a_policy_before_dnat_sees_the_port_that_the_client_asked_for(net):
    with translated(net, 8000), translated(net, 8001):
        net.put(
            host_endpoint(interfaceName="*"),
            host_policy(
                preDNAT=True, types=["Ingress"], ingress=[rule("Deny", Port("tcp", 8000))], **FORWARD
            ),
        )
        net.settle()
        becomes(net, OTHER, GUARDED, Port("tcp", 8000), False)
        assert net.arrives(OTHER, GUARDED, Port("tcp", 8001))
        assert net.arrives(FAR, OWN, WEB)


def test_what_a_policy_does_not_track_needs_a_policy_for_the_answers_too(net):
    untracked = {"doNotTrack": True, **FORWARD}
    answers = {"action": "Allow", "protocol": "UDP", "source": {"ports": [80]}}
    net.put(on_eth0(), host_policy(ingress=[rule("Allow", UDP)], **untracked))
    net.settle()
    becomes(net, OTHER, GUARDED, UDP, False)
    net.put(host_policy(ingress=[rule("Allow", UDP)], egress=[answers], **untracked))
    net.settle()
    becomes(net, OTHER, GUARDED, UDP, True)
    assert not net.arrives(OTHER, GUARDED, WEB)
    listed = run_inside(net.pid(GUARDED), "cat", "/proc/net/nf_conntrack")
    known = [line for line in listed.splitlines() if "udp" in line and net.address(OTHER) in line]
    assert not [line for line in known if "dport=80 " in line], known


def test_failsafe_ports_are_those_of_the_settings(net):
    net.put(on_eth0(), felix(failsafeInboundHostPorts=[{"protocol": "tcp", "port": 81}]))
    becomes(net, OTHER, GUARDED, ALT, True)
    becomes(net, OTHER, GUARDED, SSH, False)
    only = {"protocol": "tcp", "port": 81, "net": "203.0.113.0/24"}
    net.put(
        felix(failsafeInboundHostPorts=[only], failsafeOutboundHostPorts=[{"protocol": "tcp", "port": 80}])
    )
    becomes(net, OTHER, GUARDED, ALT, False)
    becomes(net, GUARDED, OTHER, WEB, True)
    assert not net.arrives(GUARDED, OTHER, ALT)


def test_what_pods_send_to_their_node_is_accepted_dropped_or_left_to_the_nodes_own_rules(net):
    refuse = ("INPUT", "-p", "tcp", "--dport", "81", "-j", "DROP")
    tool = (f"iptables-{net.flavour}", "-w")
    run_inside(net.pid(GUARDED), *tool, "-A", *refuse)
    try:
        assert net.arrives(OWN, GUARDED, WEB) and net.arrives(OWN, GUARDED, ALT), "by default it is accepted"
        net.put(felix(defaultEndpointToHostAction="Return"))
        becomes(net, OWN, GUARDED, ALT, False)
        assert net.arrives(OWN, GUARDED, WEB)
        net.put(felix(defaultEndpointToHostAction="Drop"))
        becomes(net, OWN, GUARDED, WEB, False)
        assert net.arrives(OWN, OTHER, WEB) and net.arrives(GUARDED, OWN, WEB)
    finally:
        run_inside(net.pid(GUARDED), *tool, "-D", *refuse)


def test_a_node_whose_host_endpoint_drops_all_else_stays_in_the_cluster(net):
    net.put(on_eth0())
    net.settle()
    net.add_pod("x/late", node="node-1")
    net.settle()
    assert net.arrives(FAR, "x/late", WEB)
