"""The Kubernetes network model, asked of real pods with real packets, for each backend."""

import json
from itertools import permutations

from support.eventually import eventually

NAMES = ["pod-1", "pod-2", "pod-3", "pod-4"]


def addresses(cluster):
    return {pod["name"]: pod["ip"] for pod in cluster.report["pods"]}


def said_by(cluster, source, url):
    """What the echo server at the other end saw of us, asked by HTTP."""
    done = cluster.exec(
        source, "curl", "-s", "--max-time", "5", url, container="main" if source in NAMES else ""
    )
    assert done.returncode == 0, f"{source} -> {url}: {done.stderr}"
    return json.loads(done.stdout)


def test_every_pod_has_an_address_of_its_own(either):
    found = addresses(either)
    assert sorted(found) == NAMES
    assert len(set(found.values())) == 4


def test_every_pod_reaches_every_pod_by_its_address(either):
    told = {"pairs": 12, "reached": 12, "allPairs": True, "failures": [], "closedByPolicies": 0}
    assert either.report["reachability"] == told


def test_no_address_is_translated_between_pods(either):
    found = addresses(either)
    for source, target in permutations(NAMES, 2):
        seen = said_by(either, source, f"http://{found[target]}:8080/")
        assert seen["hostname"] == target
        assert seen["peer"]["address"] == found[source], f"{target} sees {source} as {seen['peer']}"


def test_a_pod_sees_its_own_node_and_the_other_node_by_an_address_of_theirs(either):
    found = addresses(either)
    for node in ("node-1", "node-2"):
        seen = said_by(either, f"node:{node}", f"http://{found['pod-1']}:8080/")
        own = either.exec(f"node:{node}", "ip", "-o", "-4", "address", "show").stdout
        assert f" {seen['peer']['address']}/" in own


async def test_a_node_sees_its_pod_by_the_pods_own_address(either):
    found = addresses(either)
    listen = ("timeout", "20", "nc", "-l", "-n", "-v", "-s", "192.168.0.11", "-p", "7000")
    with either.start("node:node-1", *listen) as listener:

        def connected():
            return either.exec("pod-1", "nc", "-z", "-w", "1", "192.168.0.11", "7000").returncode == 0

        await eventually(connected)
        assert f"Connection received on {found['pod-1']} " in listener.communicate(timeout=180)[1]


def test_a_pod_sees_of_itself_what_others_see(either):
    found = addresses(either)
    for name in NAMES:
        own = either.exec(name, "ip", "-o", "-4", "address", "show", "eth0", container="main").stdout
        assert f" {found[name]}/24 " in own


def test_containers_of_a_pod_share_one_namespace_and_localhost(either):
    seen = either.exec("pod-4", "curl", "-s", "http://127.0.0.1:8080/", container="second")
    assert json.loads(seen.stdout)["hostname"] == "pod-4"
    links = {
        either.exec("pod-4", "readlink", "/proc/self/ns/net", container=c).stdout for c in ("main", "second")
    }
    assert len(links) == 1


def test_a_full_size_packet_passes_without_being_cut(either):
    found = addresses(either)
    mtu = int(either.exec("pod-1", "cat", "/sys/class/net/eth0/mtu").stdout)
    fits, too_large = str(mtu - 28), str(mtu - 27)
    ping = ("ping", "-c", "1", "-W", "2", "-M", "do", "-s")
    assert either.exec("pod-1", *ping, fits, found["pod-3"]).returncode == 0
    assert either.exec("pod-1", *ping, too_large, found["pod-3"]).returncode != 0
