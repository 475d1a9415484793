"""Changes of live links, as they are written into the spec."""

from dataclasses import replace
from pathlib import Path

import pytest

from fabric.cluster import spec as specs
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.underlay import links
from fabric.errors import BadInput, FabricError
from fabric.kernel.features import Feature
from fabric.topology.load import loads
from fabric.topology.shapes import Shape

RACKS = loads(
    "apiVersion: fabric.dev/v1\nkind: Topology\nmetadata: {name: t}\n"
    "spec: {nodes: 2, network: {plugin: flannel},"
    " underlay: {kind: leaf-spine, uplinks: 2, uplinkLinks: {rate: 1Gbit}}}\n",
    Path("t.yaml"),
)


@pytest.fixture
def paths(tmp_path, monkeypatch):
    """A cluster's spec on disk, on a machine whose kernel has tbf and no netem."""
    monkeypatch.setenv("FABRIC_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("FABRIC_STATE_DIR", str(tmp_path / "state"))
    found = {
        "tbf": Feature("tbf", True, "qdisc tbf", ""),
        "netem": Feature("netem", False, "No such file or directory", "modprobe sch_netem"),
    }
    monkeypatch.setattr(links, "probe", lambda names: {name: found[name] for name in names})
    paths = ClusterPaths("t")
    paths.make()
    specs.write(paths.spec, specs.choose(RACKS, None, api_port=1, workers=1))
    return paths


def states(paths: ClusterPaths) -> dict[str, tuple[bool, Shape]]:
    spec = specs.read(paths.spec)
    assert spec is not None
    return {it.name: (it.up, it.shape) for it in spec.underlay.wiring().links}


def pull(paths: ClusterPaths, a: str, b: str, number: int = 0):
    return links.change(paths, a, b, number, lambda it: replace(it, up=False))


def test_pulling_a_cable_pulls_all_parallel_ones_or_the_one_that_is_named(paths):
    pull(paths, "spine-1", "leaf-2", 2)
    assert [name for name, (up, _) in states(paths).items() if not up] == ["leaf-2--spine-1--2"]
    pull(paths, "leaf-2", "spine-1")
    down = [name for name, (up, _) in states(paths).items() if not up]
    assert down == ["leaf-2--spine-1", "leaf-2--spine-1--2"]


def test_a_link_that_is_as_the_file_has_it_is_no_change_any_more(paths):
    pull(paths, "leaf-1", "node-1")
    links.change(paths, "leaf-1", "node-1", 0, lambda it: replace(it, up=True))
    spec = specs.read(paths.spec)
    assert spec is not None and spec.underlay.changes == {}


def test_attributes_add_up_and_none_takes_one_away(paths):
    def to(*words: str) -> Shape:
        (link,) = links.change(
            paths, "leaf-1", "node-1", 0, lambda it: replace(it, shape=links.shaped(it.shape, words))
        )
        return link.shape

    assert to("rate=10Mbit,", "queue=htb") == Shape(rate=10_000_000, queue="htb")
    assert to("mtu=1400") == Shape(mtu=1400, rate=10_000_000, queue="htb")
    assert to("rate=none") == Shape(mtu=1400, queue="htb")


@pytest.mark.parametrize(
    "words, message",
    [
        (["speed=1"], "speed=1: not an attribute of a link; allowed: mtu=…, rate="),
        (["speed"], "speed: not an attribute of a link; allowed: mtu=…, rate="),
        (["rate"], "rate: no value; write rate=VALUE, or rate=none to take it away"),
        (["mtu=70000"], "mtu=70000: mtu is '70000'; allowed: 1280 to 65535"),
        (["rate=fast"], "rate=fast: rate is 'fast'; write it as 100Mbit"),
        (["queue=red"], "queue=red: queue is 'red'; allowed: tbf, htb"),
        (["jitter=5ms"], "jitter=5ms: jitter is more than the delay that it varies"),
        (["loss=101%"], "loss=101%: loss is more than 100%"),
    ],
)
def test_an_attribute_that_cannot_be_is_refused(words, message):
    with pytest.raises(BadInput) as refused:
        links.shaped(Shape(), words)
    assert str(refused.value).startswith(message)


def test_what_the_kernel_lacks_is_named_with_its_remedy_and_nothing_is_written(paths):
    before = paths.spec.read_bytes()
    with pytest.raises(FabricError, match=r"link leaf-1--node-1 with delay 1ms needs sch_netem.*modprobe"):
        links.change(
            paths,
            "leaf-1",
            "node-1",
            0,
            lambda it: replace(it, shape=links.shaped(it.shape, ["delay=1ms"])),
        )
    assert paths.spec.read_bytes() == before


@pytest.mark.parametrize(
    "a, b, number, message",
    [
        ("leaf-9", "spine-1", 0, "A: no device 'leaf-9'; there: control-plane, leaf-1, leaf-2, node-1"),
        ("leaf-1", "x", 0, "B: no device 'x'"),
        ("leaf-1", "leaf-2", 0, "B: no link between leaf-1 and leaf-2; leaf-1 is linked to control-plane"),
        ("leaf-1", "spine-1", 3, "--number: leaf-1 and spine-1 have 2 links, numbered from 1"),
    ],
)
def test_a_link_that_is_not_there_names_what_is(paths, a, b, number, message):
    with pytest.raises(BadInput) as refused:
        pull(paths, a, b, number)
    assert str(refused.value).startswith(message)
