"""Mininet's command line: lines that its commands stumble over, and whether all is well at the end."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest
from mininet.log import lg

from fabric.cli.mininet_line import CommandLine
from fabric.cli.mininet_nodes import Pod, Router
from fabric.errors import FabricError


class Network(dict):
    """A router and a pod, both shells of this machine; one more node is off."""

    controllers = ()

    def __init__(self):
        super().__init__({"leaf-1": Router("leaf-1", 0, shell), "pod-1": Pod("pod-1", 0, shell)})
        self["leaf-1"].add("lo", "172.17.0.1")
        self["leaf-1"].add("spine-1")
        self["node-2"] = Pod("node-2", 0, no_shell)
        self.switches, self.links = [self["leaf-1"]], []

    def iperf(self):
        raise KeyError("pod-9")


class LocalShell:
    """A shell of this machine."""

    def __init__(self, argv):
        self.terminal, slave = pty.openpty()
        self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)

    def end(self):
        os.close(self.terminal)
        return self.process.wait(60)


def shell(argv):
    shells.append(LocalShell(argv))
    return shells[-1]


def no_shell(_argv):
    raise FabricError("node-2 is off")


shells: list[LocalShell] = []


@pytest.fixture
def typed(capsys, monkeypatch):
    """Take these lines; what was printed, and whether the last one did what it should."""

    def take(*lines):
        # What was there is the closed output of an earlier test.
        monkeypatch.setattr(lg.handlers[0], "stream", sys.stdout)
        content = CommandLine.open(Network(), lines)
        return capsys.readouterr().out, content

    yield take
    for each in shells:
        each.process.kill()
        each.process.wait()
    shells.clear()


@pytest.mark.parametrize(
    "line, says",
    [
        ("ports", "leaf-1 leaf-1-lo:0 leaf-1-spine-1:1"),
        ("dpctl show", "no OpenFlow switches here"),
        ("switch leaf-1 stop", "pull a cable: link A B down"),
        ("source no-such-file", "source: no-such-file: No such file or directory"),
        ("iperf", "*** iperf does not work here: KeyError: 'pod-9'"),
        ("node-2 ls", "node-2 is off"),
    ],
)
def test_one_line_is_said_and_the_next_command_runs(typed, line, says):
    printed, content = typed(line, "pod-1 echo here I am")
    before, said, after = printed.partition("here I am")
    assert says in before and said and content, printed
    assert len(before.strip().splitlines()) <= 1 and not after.strip(), printed


@pytest.mark.parametrize(
    "lines, content",
    [
        (["fly"], False),
        (["pod-1 false"], False),
        (["pod-1 true"], True),
        (["pod-1 false", "pod-1 true"], True),
        (["pod-1 true", "fly", "", "# no command"], False),
        (["sh false"], False),
        (["fly", "nodes"], True),
        (["time pod-1 false"], False),
        (["dpctl show"], False),
        ([], True),
    ],
)
def test_the_last_command_decides_whether_all_is_well(typed, lines, content):
    assert typed(*lines)[1] is content


def test_a_file_of_commands_may_have_comments_and_ends_with_exit(typed, tmp_path):
    file = tmp_path / "commands"
    file.write_text("# first\npod-1 echo one\nfly\nexit\nnodes\n")
    printed, _ = typed(f"source {file}", "pod-1 echo two")
    assert "one" in printed and "two" in printed
    assert "Unknown command: fly" in printed and "available nodes" not in printed


@pytest.mark.parametrize(
    "line, says, content",
    [
        ("pod-1 exit", "", True),
        ("pod-1 exit 3", "*** pod-1: its shell has ended with 3; the next command starts another", False),
        ("pod-1 exec true", "", True),
        (
            "pod-1 kill -9 $$",
            "*** pod-1: its shell has ended with -9; the next command starts another",
            False,
        ),
        ("pod-1 echo last words; exit 1", "last words", False),
    ],
)
def test_a_shell_that_ends_is_told_and_the_next_command_has_another(typed, line, says, content):
    printed, fine = typed(line)
    assert (says in printed, fine) == (True, content), printed
    printed, fine = typed(line, "pod-1 echo here I am")
    assert "here I am" in printed and fine


@pytest.mark.parametrize(
    "line, says",
    [
        ("pod-1 cat", ""),
        ("pod-1 read x; echo got $x.", "got ."),
        ("pod-1 bash", ""),
        ("pod-1 python3", ""),
        ("pod-1 echo 'open", "unexpected EOF"),
        ("pod-1 for x in a b", "syntax error"),
        ("pod-1 cat <<END", ""),
        ("pod-1 cat \\", ""),
        ("sh cat", ""),
        (f"pod-1 echo {'x' * 5000}", "a terminal's line has 3900"),
        ("pod-1 sleep 1000 &", ""),
        ("pod-1 printf 'no newline'", "no newline"),
        ("pod-1 head -c 300000 /dev/urandom", ""),
        ("pod-1 printf '\\177\\177'", ""),
        ("pod-1 env; set; ps axe -o args", "bash --norc"),
    ],
)
def test_nothing_that_a_command_asks_for_or_says_is_waited_for(typed, line, says):
    printed, fine = typed(line, "pod-1 echo here I am")
    before, said, after = printed.partition("here I am")
    assert says in before and said and fine and not after.strip(), printed[-1000:]


def test_a_directory_and_variables_stay_from_one_command_to_the_next(typed):
    printed, _ = typed("pod-1 cd /tmp", "pod-1 X=5", "pod-1 echo $PWD $X", "pod-1 false", "pod-1 echo $?")
    assert [line.strip() for line in printed.splitlines()] == ["/tmp 5", "1"]
