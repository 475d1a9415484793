"""A matrix probed on a running cluster, with policies as a filter on a node would do them."""

from __future__ import annotations

import asyncio
import json

import pytest
from support.clusters import Cluster, fabric, pod
from support.namespaces import run_inside

from fabric.cluster.lookup import need_spec
from fabric.cluster.paths import ClusterPaths
from fabric.errors import BadInput
from fabric.verify.matrix import Mark, Matrix, Port
from fabric.verify.probed_matrix import Endpoint, endpoints, probe_matrix

WEB, CLOSED, DNS, PING = Port("tcp", 80), Port("tcp", 81), Port("udp", 53), Port("icmp")
SERVES = [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]


def serving(name: str, node: str, **spec) -> dict:
    made = pod(name, node, **spec)
    made["spec"]["containers"][0]["ports"] = SERVES
    return made


PODS = [
    serving("pod-1", "node-1"),
    serving("pod-2", "node-2"),
    pod("on-host", "node-2", hostNetwork=True, image="busybox"),
]
PODS[2]["spec"]["containers"][0]["command"] = ["sleep", "100000"]
NAMES = ("default/on-host", "default/pod-1", "default/pod-2", "node/node-1", "node/node-2", "control-plane")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two nodes with a pod each that serves what its containerPorts say, and one in the host's network."""
    with Cluster.running(tmp_path_factory.mktemp("cluster"), pods=PODS) as up:
        yield up


@pytest.fixture(scope="module")
def known(cluster: Cluster) -> tuple[Endpoint, ...]:
    paths = ClusterPaths(cluster.name)
    return asyncio.run(endpoints(paths, need_spec(paths)))


def probed(known, *ports: Port, sources=NAMES, destinations=("default/pod-1", "default/pod-2")) -> Matrix:
    return asyncio.run(probe_matrix(known, sources, destinations, ports))


def marks(matrix: Matrix, destination: str, port: Port) -> str:
    return "".join(matrix.cells[source, destination, port].mark for source in matrix.sources)


def test_everybody_is_found_with_its_address(known):
    assert tuple(it.name for it in known) == NAMES
    assert all(it.address(4) and it.address(6) is None for it in known)


def test_pods_nodes_and_the_control_plane_reach_what_containerports_say_and_nothing_else(known):
    matrix = probed(known, WEB, DNS, PING, CLOSED)
    for pod_name in ("default/pod-1", "default/pod-2"):
        for port in (WEB, DNS, PING):
            reached = marks(matrix, pod_name, port)
            assert reached[:-1] == ".....", (pod_name, str(port), reached)
        assert marks(matrix, pod_name, CLOSED)[:-1] == "!!!!!"


def test_nodes_are_reached_by_name_and_anybody_by_address(known):
    address = next(it for it in known if it.name == "node/node-2").address(4)
    matrix = probed(known, PING, sources=NAMES[1:3], destinations=("node/node-1", address))
    assert marks(matrix, "node/node-1", PING) == marks(matrix, address, PING) == ".."


def test_a_filter_between_two_pods_is_seen_in_their_cells_alone(known):
    by_name = {it.name: it for it in known}
    one, two = by_name["default/pod-1"], by_name["default/pod-2"]
    rule = ("-s", one.address(4), "-d", two.address(4), "-p", "tcp", "--dport", "80", "-j", "DROP")
    run_inside(by_name["node/node-2"].pid, "iptables", "-w", "-I", "FORWARD", *rule)
    try:
        matrix = probed(known, WEB, DNS, sources=NAMES[1:3])
    finally:
        run_inside(by_name["node/node-2"].pid, "iptables", "-w", "-D", "FORWARD", *rule)
    wrong = {place for place, cell in matrix.cells.items() if cell.mark is not Mark.allowed}
    assert wrong == {("default/pod-1", "default/pod-2", WEB)}
    assert matrix.cells["default/pod-1", "default/pod-2", WEB].mark is Mark.blocked


def test_a_family_that_a_destination_lacks_is_not_asked(known):
    assert probed(known, Port("tcp", 80, 6)).cells == {}


def test_a_name_that_nobody_has_is_refused_with_those_that_are_like_it(known):
    with pytest.raises(
        BadInput, match="no pod, node or control plane 'default/pod-3' runs; did you mean default/pod-"
    ):
        probed(known, WEB, destinations=("default/pod-3",))
    with pytest.raises(BadInput, match="source: no pod"):
        probed(known, WEB, sources=("192.0.2.1",))


def test_the_command_compares_with_what_policies_mean_and_ends_with_1_where_it_differs(
    cluster: Cluster, known
):
    words = ("policy", "matrix", "--cluster", cluster.name, "--port", "80/tcp", "--port", "icmp")
    done = fabric(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 not as predicted" in done.stdout
    one, two = (next(it for it in known if it.name == f"default/pod-{number}") for number in (1, 2))
    rule = ("INPUT", "-s", one.address(4), "-p", "tcp", "--dport", "80", "-j", "REJECT")
    run_inside(two.pid, "iptables", "-w", "-A", *rule)
    try:
        done = fabric(*words, "-o", "json")
    finally:
        run_inside(two.pid, "iptables", "-w", "-D", *rule)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    (wrong,) = [it for it in found["cells"] if not it["agrees"]]
    assert found["mismatches"] == 1
    assert (wrong["from"], wrong["to"], wrong["port"]) == ("default/pod-1", "default/pod-2", "80/TCP")
    assert (wrong["predicted"], wrong["outcome"]) == ("allowed", "rejected")
    assert wrong["detail"] == f"ICMP port unreachable from {two.address(4)}"
