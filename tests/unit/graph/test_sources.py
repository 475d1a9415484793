"""What `fabric graph` draws, before it is drawn."""

import struct
from itertools import combinations
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fabric.cli import commands
from fabric.cli.main import app
from fabric.cluster import spec as specs
from fabric.cluster.underlay.state import Underlay
from fabric.errors import BadInput, FabricError
from fabric.graph import png as pngs
from fabric.graph import sources
from fabric.graph.picture import Peering, data
from fabric.graph.sources import View, peerings
from fabric.graph.svg import size
from fabric.topology.load import load, loads

RACKS = loads(
    "apiVersion: fabric.dev/v1\nkind: Topology\nmetadata: {name: t}\n"
    "spec: {nodes: 2, network: {plugin: flannel},"
    " underlay: {kind: leaf-spine, uplinkLinks: {mtu: 9000, rate: 1Gbit}}}\n",
    Path("t.yaml"),
)


def test_a_session_is_one_line_and_up_when_both_ends_say_so():
    views = [
        View("spine-1", "leaf-10", up=True),
        View("leaf-10", "spine-1", up=True),
        View("leaf-2", "spine-1", up=False, why="Received: Bad peer AS"),
        View("spine-1", "leaf-2", up=True),
        View("node-1", "10.0.0.9", up=True),
    ]
    assert peerings(views) == [
        Peering("10.0.0.9", "node-1"),
        Peering("leaf-2", "spine-1", up=False, why="Received: Bad peer AS"),
        Peering("leaf-10", "spine-1"),
    ]


TWO_CABLES = loads(
    "apiVersion: fabric.dev/v1\nkind: Topology\nmetadata: {name: t}\n"
    "spec: {nodes: 1, network: {plugin: flannel},"
    " underlay: {kind: leaf-spine, racks: 1, spines: 1, uplinks: 2}}\n",
    Path("t.yaml"),
)


def test_each_of_two_parallel_links_has_a_session_of_its_own():
    assert sources.of_file(TWO_CABLES).peerings == [Peering("leaf-1", "spine-1")] * 2
    views = [
        View("spine-1", "leaf-1", up=False, why="no answer", link=2),
        View("spine-1", "leaf-1", up=True, link=1),
        View("leaf-1", "spine-1", up=True, link=1),
        View("leaf-1", "spine-1", up=False, why="Hold timer expired", link=2),
    ]
    assert peerings(views) == [
        Peering("leaf-1", "spine-1"),
        Peering("leaf-1", "spine-1", up=False, why="link 2: spine-1: no answer; leaf-1: Hold timer expired"),
    ]


def test_both_ends_of_a_session_know_its_link_by_the_others_address():
    underlay = Underlay.of(specs.choose(TWO_CABLES, None, api_port=0, workers=1))
    names = sources.owners(underlay)
    for speaker in underlay.speakers.values():
        far = {names[str(it.address)]: names[str(it.local_address)][1] for it in speaker.neighbors}
        assert {link for _, link in far} == {1, 2} == set(far.values())
        assert all(there == here for (_, there), here in far.items())
    assert names["172.17.0.1"] == ("leaf-1", 0)


def test_a_file_is_drawn_with_addresses_and_sessions_and_without_pods():
    found = data(sources.of_file(RACKS))
    devices = {it["name"]: it for it in found["devices"]}
    assert devices["node-2"]["address"] == "192.168.2.12/24"
    assert devices["leaf-2"]["address"] == "172.17.0.2"
    assert {it["mtu"] for it in found["links"] if it["b"].startswith("spine")} == {9000}
    assert [(it["a"], it["b"]) for it in found["peerings"]] == [
        (leaf, spine) for leaf in ("leaf-1", "leaf-2") for spine in ("spine-1", "spine-2")
    ]


def test_sessions_and_route_reflectors_of_nodes_are_drawn_from_a_file():
    found = sources.of_file(load(Path("topologies/route-reflector.yaml")))
    assert found.reflectors == {"node-1": "244.0.0.1", "node-3": "244.0.0.1"}
    assert {(it.a, it.b) for it in found.peerings if it.a.startswith("node-")} == {
        ("node-1", "node-2"),
        ("node-1", "node-3"),
        ("node-1", "node-4"),
        ("node-2", "node-3"),
        ("node-3", "node-4"),
    }
    told = {it["name"]: it["routeReflectorClusterID"] for it in data(found)["devices"]}
    assert told["node-1"] == "244.0.0.1" and told["node-2"] == ""


def test_a_mesh_of_nodes_is_drawn_from_a_file():
    found = sources.of_file(load(Path("topologies/calico-bgp.yaml")))
    names = [f"node-{number}" for number in range(1, 5)]
    assert [(it.a, it.b) for it in found.peerings] == list(combinations(names, 2))


def test_a_png_is_as_large_as_the_drawing_twice():
    picture = sources.of_file(RACKS)
    drawn = pngs.png(picture)
    assert drawn.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", drawn[16:24])
    assert (width, height) == tuple(round(2 * it) for it in size(picture))


def test_without_a_font_a_png_says_what_to_install(monkeypatch):
    monkeypatch.setattr(pngs, "_FOLDERS", ())
    with pytest.raises(FabricError, match="apt-get install fonts-dejavu-core"):
        pngs.png(sources.of_file(RACKS))


@pytest.mark.parametrize(
    "form, begins", [("tree", b"spine-1 router"), ("dot", b"graph"), ("svg", b"<svg"), ("json", b"{")]
)
def test_the_command_writes_each_form_to_a_file(tmp_path, form, begins):
    file = tmp_path / "t.yaml"
    file.write_text(
        "apiVersion: fabric.dev/v1\nkind: Topology\nmetadata: {name: t}\n"
        "spec: {nodes: 2, network: {plugin: flannel}, underlay: {kind: leaf-spine}}\n"
    )
    commands.register(app, ["graph"])
    target = tmp_path / "drawn"
    done = CliRunner().invoke(app, ["graph", str(file), "-o", form, "--output", str(target)])
    assert done.exit_code == 0, done.output
    assert target.read_bytes().startswith(begins)


def test_a_name_that_is_neither_file_nor_cluster_is_refused(tmp_path):
    commands.register(app, ["graph"])
    done = CliRunner().invoke(app, ["graph", "no-such-cluster"])
    assert isinstance(done.exception, BadInput)
    assert "no cluster 'no-such-cluster' on this machine" in str(done.exception)
