"""A Mininet Topo class as an underlay; without Mininet, a stand-in with the methods that are read."""

from __future__ import annotations

import builtins
import sys
import types
from pathlib import Path

import pytest
from support.wirings import nodes

from fabric.topology.wires import wires
from fabric.topology.wiring import Unwirable

TOPO = """\
from mininet.topo import Topo

class Tree(Topo):
    def build(self, leaves=2, **link):
        root = self.addSwitch("s1")
        for number in range(1, leaves + 1):
            switch, host = self.addSwitch(f"s{number + 1}"), self.addHost(f"h{number}")
            self.addLink(root, switch, **(link or dict(bw=100, delay="5ms", loss=1)))
            self.addLink(switch, host)

class Loop(Topo):
    def build(self):
        one, two, three = (self.addSwitch(f"s{number}") for number in (1, 2, 3))
        self.addLink(one, two); self.addLink(two, three); self.addLink(three, one)
        for number in (1, 2):
            self.addLink(self.addHost(f"node-{number}"), one)

class Twice(Topo):
    def build(self):
        one, two = self.addSwitch("s1"), self.addSwitch("s2")
        self.addLink(one, two); self.addLink(one, two)
        for number in (1, 2):
            self.addLink(self.addHost(f"node-{number}"), one)
"""


class StandIn:
    """What is read of mininet.topo.Topo (2.3)."""

    def __init__(self, **params: object) -> None:
        self._hosts: list[str] = []
        self._switches: list[str] = []
        self._links: list[tuple[str, str, dict[str, object]]] = []
        self.build(**params)

    def addHost(self, name: str) -> str:
        self._hosts.append(name)
        return name

    def addSwitch(self, name: str) -> str:
        self._switches.append(name)
        return name

    def addLink(self, a: str, b: str, **options: object) -> None:
        self._links.append((a, b, options))

    def hosts(self) -> list[str]:
        return self._hosts

    def switches(self) -> list[str]:
        return self._switches

    def links(self, sort: bool, withInfo: bool) -> list[tuple[str, str, dict[str, object]]]:
        assert sort and withInfo
        return sorted(self._links, key=lambda it: it[:2])


@pytest.fixture(params=["stand-in", "mininet"])
def folder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    if request.param == "stand-in":
        module = types.ModuleType("mininet.topo")
        module.Topo = StandIn
        monkeypatch.setitem(sys.modules, "mininet", types.ModuleType("mininet"))
        monkeypatch.setitem(sys.modules, "mininet.topo", module)
    (tmp_path / "topo.py").write_text(TOPO)
    return tmp_path


def test_hosts_become_nodes_switches_bridges_and_link_options_shapes(folder):
    wiring = wires({"kind": "mininet", "topo": "topo.py:Tree"}, nodes(2), folder).wiring
    assert {(it.name, it.role) for it in wiring.devices} == {
        ("control-plane", "host"),
        ("node-1", "host"),
        ("node-2", "host"),
        ("s1", "switch"),
        ("s2", "switch"),
        ("s3", "switch"),
    }
    assert wiring.neighbors("node-2") == ["s3"]
    (uplink,) = (it for it in wiring.links if {it.a, it.b} == {"s1", "s3"})
    assert str(uplink.shape) == "rate 100Mbit delay 5ms loss 1%"


def test_hosts_that_are_too_many_are_left_out_and_arguments_are_handed_on(folder):
    options = {"kind": "mininet", "topo": "topo.py:Tree", "arguments": {"leaves": 5, "bw": 10}}
    wiring = wires(options, nodes(3), folder).wiring
    assert len(wiring.of_role("host")) == 4
    assert {str(it.shape) for it in wiring.links} == {"", "rate 10Mbit"}


@pytest.mark.parametrize(
    "options, words",
    [
        ({"topo": "no.py:Tree"}, "no file"),
        ({"topo": "topo.py:Forest"}, "no Topo class 'Forest'"),
        ({"topo": "topo.py:Loop", "arguments": {"depth": 1}}, "depth"),
        ({"topo": "topo.py:Tree", "arguments": {"leaves": 1}}, "2 nodes, and the Topo has only 1 hosts"),
        ({"topo": "topo.py:Loop"}, "form a loop"),
        ({"topo": "topo.py:Twice"}, "two links between s1 and s2"),
        ({"topo": "topo.py:Tree", "arguments": {"bw": 0.001}}, "rate must be 8Kbit"),
        ({"topo": "broken.py:Tree"}, "cannot be run: SyntaxError"),
    ],
    ids=str,
)
def test_a_topo_that_cannot_be_an_underlay_is_refused(folder, options, words):
    (folder / "broken.py").write_text("class Tree(:\n")
    with pytest.raises(Unwirable, match=words.replace("(", r"\(")):
        wires({"kind": "mininet", **options}, nodes(2), folder)


def test_without_mininet_the_message_says_what_to_install(monkeypatch, tmp_path):
    real = builtins.__import__

    def absent(name, *rest):
        if name.startswith("mininet"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(Unwirable, match=r"pip install 'pod-fabric\[mininet\]'"):
        wires({"kind": "mininet", "topo": "topo.py:Tree"}, nodes(2), tmp_path)
