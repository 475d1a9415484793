from dataclasses import replace
from pathlib import Path

import pytest

from calico import node_files
from fabric.cluster import spec as specs
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.underlay.hosts import Hosts, wanted_hosts
from fabric.plugin import registry
from fabric.runtime.fake import FakeRuntime
from fabric.topology.load import loads
from fabric.topology.model import NodeEntry

TOPOLOGY = loads(
    "apiVersion: fabric.dev/v1\nkind: Topology\nmetadata: {name: t}\n"
    "spec: {nodes: 3, network: {plugin: flannel}}\n",
    Path("t.yaml"),
)
SPEC = specs.choose(TOPOLOGY, None, api_port=6443, workers=2)


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setenv("FABRIC_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("FABRIC_STATE_DIR", str(tmp_path / "state"))
    return ClusterPaths("t")


async def test_every_node_and_the_switch_are_powered_on_once(paths):
    runtimes = [FakeRuntime(), FakeRuntime()]
    hosts = Hosts(paths, runtimes)
    assert await hosts.reconcile(SPEC) == frozenset(wanted_hosts(SPEC))
    assert await hosts.reconcile(SPEC) == frozenset()
    assert set(await runtimes[0].nodes()) == {"switch", "control-plane", "node-1", "node-3"}
    assert set(await runtimes[1].nodes()) == {"node-2"}


async def test_switches_and_routers_are_hosts_too_and_stay_with_their_runtime(paths):
    text = "{nodes: 4, network: {plugin: flannel}, underlay: {kind: leaf-spine, nodesPerRack: 2}}"
    racks = loads(
        f"apiVersion: fabric.dev/v1\nkind: Topology\nmetadata: {{name: t}}\nspec: {text}\n", Path("t.yaml")
    )
    before = specs.choose(racks, None, api_port=6443, workers=2)
    names = [
        "spine-1",
        "spine-2",
        "leaf-1",
        "leaf-2",
        "control-plane",
        "node-1",
        "node-2",
        "node-3",
        "node-4",
    ]
    assert list(wanted_hosts(before)) == names
    more = replace(racks, nodes=tuple(NodeEntry(f"node-{n}") for n in (1, 2, 5, 6)))
    after = wanted_hosts(specs.choose(more, before, api_port=6443, workers=2))
    assert "leaf-2" not in after
    assert all(wanted_hosts(before)[it] == after[it] for it in ("spine-1", "spine-2", "leaf-1", "node-2"))


async def test_a_node_that_left_the_spec_is_powered_off(paths):
    runtimes = [FakeRuntime(), FakeRuntime()]
    hosts = Hosts(paths, runtimes)
    await hosts.reconcile(SPEC)
    smaller = specs.choose(replace(TOPOLOGY, nodes=(NodeEntry("node-1"),)), SPEC, api_port=6443, workers=2)
    await hosts.reconcile(smaller)
    assert set(await runtimes[0].nodes()) == {"switch", "control-plane", "node-1"}
    assert "node-2" not in hosts.pids


async def test_a_node_that_died_is_started_again_and_reported_as_fresh(paths):
    runtimes = [FakeRuntime(), FakeRuntime()]
    hosts = Hosts(paths, runtimes)
    await hosts.reconcile(SPEC)
    await runtimes[1].stop_node("node-2")
    assert await hosts.reconcile(SPEC) == {"node-2"}


async def test_a_node_of_another_worker_than_the_spec_says_is_moved(paths):
    runtimes = [FakeRuntime(), FakeRuntime()]
    hosts = Hosts(paths, runtimes)
    await hosts.reconcile(SPEC)
    moved = tuple(
        type(node)(name=node.name, address=node.address, worker=1 - node.worker, mtu=node.mtu)
        for node in SPEC.nodes
    )
    swapped = specs.ClusterSpec(**{f: getattr(SPEC, f) for f in SPEC.__struct_fields__} | {"nodes": moved})
    await hosts.reconcile(swapped)
    assert set(await runtimes[1].nodes()) == {"node-1", "node-3"}


async def test_a_node_that_left_leaves_no_disk_and_nobody_elses_is_touched(paths):
    runtimes = [FakeRuntime(), FakeRuntime()]
    await Hosts(paths, runtimes).reconcile(SPEC)
    for name in ("node-1", "node-3"):
        reserved = paths.node(name) / "var/lib/cni/networks/cbr0/10.244.3.2"
        reserved.parent.mkdir(parents=True)
        reserved.write_text("uid\r\neth0")
    two = replace(TOPOLOGY, nodes=tuple(NodeEntry(f"node-{n}") for n in (1, 2)))
    fewer = specs.choose(two, SPEC, api_port=6443, workers=2)
    await Hosts(paths, runtimes).reconcile(fewer)
    assert not paths.node("node-3").exists()
    assert (paths.node("node-1") / "var/lib/cni/networks/cbr0/10.244.3.2").exists()


async def test_a_node_has_folders_of_its_own_for_its_plugin_and_a_switch_has_none(paths):
    folders = ("etc/some-plugin",)
    spec = specs.choose(TOPOLOGY, None, api_port=6443, workers=1, node_folders=folders)
    await Hosts(paths, [FakeRuntime()]).reconcile(spec)
    assert (paths.node("node-1") / "etc/some-plugin").is_dir()
    assert (paths.node("node-1") / "var/lib/kubelet").is_dir()
    assert [path.name for path in paths.node("switch").iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("plugin", "folders"),
    [("flannel", ()), ("calico", node_files.FOLDERS), ("canal", node_files.FOLDERS)],
)
def test_each_plugin_names_its_folders(plugin, folders):
    assert registry.load(plugin).node_folders == folders
