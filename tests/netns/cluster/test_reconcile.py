"""`up` on a running cluster brings it to the changed file, and disturbs nothing else."""

from support.clusters import fabric, pod
from support.eventually import eventually


def names(report):
    return sorted(p["name"] for p in report["pods"])


async def test_nodes_and_pods_come_and_go_and_the_rest_stays_as_it_is(fresh):
    stays = [pod("pod-1", "node-1"), pod("pod-2", "node-2")]
    fresh.write(nodes=2, pods=[*stays, pod("pod-3", "node-2")])
    first = {p["name"]: p["ip"] for p in fresh.up()["pods"]}
    before = fresh.exec("pod-1", "cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat").stdout
    fresh.write(nodes=3, pods=[*stays, pod("pod-4", "node-3")])
    second = fresh.up()
    assert names(second) == ["pod-1", "pod-2", "pod-4"]
    assert second["reachability"]["reached"] == 6
    assert {p["name"]: p["ip"] for p in second["pods"]}["pod-1"] == first["pod-1"]
    assert fresh.exec("pod-1", "cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat").stdout == before
    fresh.write(nodes=1, pods=[pod("pod-1", "node-1")])
    third = fresh.up()
    assert names(third) == ["pod-1"]
    assert [node["name"] for node in fresh.status()["nodes"]] == ["node-1"]
    await eventually(lambda: "flannel.1" not in fresh.exec("node:node-1", "ip", "route").stdout)
    await eventually(lambda: not list(fresh.state_folder.glob("nodes/node-2/var/lib/cni/networks/*/10.*")))


def test_the_same_file_again_changes_nothing(vxlan):
    before = vxlan.pod_versions()
    report = vxlan.up()
    assert report["reachability"]["reached"] == 12
    assert vxlan.pod_versions() == before


def test_what_a_running_cluster_cannot_change_is_refused_by_line(vxlan):
    text = vxlan.file.read_text()
    try:
        vxlan.file.write_text(text.replace('"vxlan"', '"host-gw"'))
        refused = fabric("up", str(vxlan.file))
        assert refused.returncode == 2
        assert f"{vxlan.file}:1: spec.network.backend is host-gw" in refused.stderr
    finally:
        vxlan.file.write_text(text)
