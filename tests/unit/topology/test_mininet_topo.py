"""A Mininet Topo class as an underlay, and what its file may do without harm."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import pytest
from support.eventually import eventually
from support.wirings import nodes

from fabric.topology.child import NoAnswer, answer_of
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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
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
        ({"topo": "topo.py:Tree", "arguments": {"leaves": 1}}, "2 nodes, and the Topo has only 1 host"),
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


@pytest.mark.parametrize(
    "body, words",
    [
        ("class Tree(Topo):\n    def __init__(self): self.depth = 3", r"does not call super\(\).__init__"),
        ("class Tree(Topo):\n    def build(self): raise SystemExit('no')", "SystemExit: no"),
        ("import sys\nsys.exit(3)", "cannot be run: SystemExit: 3"),
        ("import os\nos._exit(0)", "ended early"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "ended early by SIGSEGV"),
        (
            "class Tree(Topo):\n    def build(self): self.addHost(5), self.addHost('a')",
            "name is 5, which is no",
        ),
        ("class Tree(Topo):\n    def build(self): self.addHost(b'n3')", "name is b'n3', which is no text"),
        (
            "class Tree(Topo):\n    def build(self): self.addSwitch('\\ud800')",
            "name is '.*d800', which is no text",
        ),
        ("raise ValueError('x' * 100_000 + '\\0\\ud800')", "cannot be run: ValueError: x{200,300}…$"),
        (
            "class E(Exception):\n    def __str__(self): raise KeyError\nraise E",
            r"E: its text cannot be had \(KeyError\)",
        ),
        (
            "class Tree(Topo):\n    def build(self):\n"
            "        self.addLink(self.addHost('h1'), self.addSwitch('s1'), bw=10**400)\n"
            "        self.addLink(self.addHost('h2'), 's1')",
            "link s1 h1: rate must be 8Kbit|link h1 s1: rate must be 8Kbit",
        ),
        ("class Tree(Topo):\n    def build(self): self.addHost(self.nothing)", "AttributeError"),
        ("class Tree(Topo):\n    def hosts(self): raise KeyError('h1')", "cannot be read: KeyError"),
        ("class Tree(Topo):\n    def build(self): self.all = bytearray(2 << 30)", "MemoryError"),
    ],
    ids=str,
)
def test_whatever_a_file_does_is_one_line_of_error(folder, body, words):
    (folder / "odd.py").write_text(f"from mininet.topo import Topo\n{body}\n")
    with pytest.raises(Unwirable, match=words):
        wires({"kind": "mininet", "topo": "odd.py:Tree"}, nodes(2), folder)


def test_an_answer_is_read_to_its_end_however_late_its_parts_come():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})  # the child writes only when its parent waits
    try:
        for size in (0, 1, 65_536, 100_000, 5_000_000):
            assert len(answer_of(lambda size=size: b"x" * size)) == size
    finally:
        os.sched_setaffinity(0, before)


def test_hosts_of_a_large_topo_are_all_read(folder):
    body = "class Large(Topo):\n    def build(self):\n        s = self.addSwitch('s1')\n"
    body += "        for i in range(5000): self.addLink(self.addHost(f'h{i}'), s)\n"
    (folder / "large.py").write_text(f"from mininet.topo import Topo\n{body}")
    wiring = wires({"kind": "mininet", "topo": "large.py:Large"}, nodes(2), folder).wiring
    assert wiring.neighbors("s1") == ["control-plane", "node-1", "node-2"]


async def test_a_file_that_never_ends_is_ended_with_all_that_it_started(monkeypatch, folder):
    left = folder / "pid"
    (folder / "odd.py").write_text(
        "import subprocess, time\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        f"open({str(left)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    with pytest.raises(NoAnswer, match="longer than 1 s"):
        answer_of(lambda: runpy.run_path(str(folder / "odd.py")) and b"", seconds_max=1.0)
    state = Path(f"/proc/{left.read_text()}/stat")

    def is_dead() -> bool:
        try:
            return state.read_text().rpartition(")")[2].split()[0] in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return True

    # A killed process dies when it is given a processor, which on a busy machine takes a moment.
    await eventually(is_dead)


def test_what_a_file_prints_is_not_in_the_way_of_what_is_read(folder, capfd):
    (folder / "loud.py").write_text(f"print('hello')\n{TOPO}")
    wires({"kind": "mininet", "topo": "loud.py:Tree"}, nodes(2), folder)
    assert capfd.readouterr().out == ""
