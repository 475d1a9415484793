"""exec and logs: exit codes and messages before and after a program ran."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from support.command_line import api, listed

from fabric.cli import pod_commands
from fabric.errors import FabricError
from fabric.runtime.contract import StartError

POD = {
    "metadata": {"name": "pod-1", "namespace": "default", "uid": "uid-1"},
    "spec": {"nodeName": "node-1", "containers": [{"name": "main"}, {"name": "second"}]},
    "status": {
        "phase": "Running",
        "containerStatuses": [
            {
                "name": "main",
                "state": {"running": {"startedAt": "2026-01-01T12:00:00Z"}},
                "containerID": "fabric://abc",
            },
            {"name": "second", "state": {"waiting": {}}},
        ],
    },
}
PENDING = {"metadata": {"name": "pod-2", "namespace": "default", "uid": "uid-2"}, "spec": POD["spec"] | {}}
PENDING["spec"].pop("nodeName")
PODS = "/api/v1/namespaces/default/pods"
ANSWERS = {"/api/v1/pods": listed(POD, PENDING), f"{PODS}/pod-1": POD, f"{PODS}/pod-2": PENDING}


class Runtime:
    """A runtime that notes what it was asked to run; `answer` is the exit code, or an error."""

    def __init__(self):
        self.asked = []
        self.answer = 0

    @asynccontextmanager
    async def connection(self, paths, worker):
        yield self

    async def exec(self, target, command, **_):
        return self._run(target, command)

    async def exec_node(self, node, command, **_):
        return self._run(node, command)

    def _run(self, where, command):
        self.asked.append((where, command))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self

    @property
    def terminal(self):
        return None

    async def wait(self):
        return self.answer


@pytest.fixture
def runtime(fabric, monkeypatch):
    fabric.paths = fabric.cluster()
    runtime = Runtime()
    monkeypatch.setattr(pod_commands, "connection", runtime.connection)
    with api(fabric.paths, ANSWERS):
        yield runtime


@pytest.mark.parametrize("code", [0, 7, 137])
def test_exec_has_the_programs_exit_code(fabric, runtime, code):
    runtime.answer = code
    assert fabric("exec", "pod-1", "--", "ping", "-c", "1", "10.244.2.2").code == code
    assert fabric("exec", "--node", "node-1", "--", "ip", "-d", "link").code == code
    assert runtime.asked == [
        ("abc", ["ping", "-c", "1", "10.244.2.2"]),
        ("node-1", ["ip", "-d", "link"]),
    ]


def test_a_program_that_is_not_there_is_127_as_in_a_shell(fabric, runtime):
    runtime.answer = StartError("frobnicate: not found")
    answer = fabric("exec", "pod-1", "--", "frobnicate")
    assert (answer.code, answer.out, answer.err) == (127, "", "error: frobnicate: not found\n")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["exec", "pod-1"], 2, "error: COMMAND: missing; write: fabric exec pod-1 -- COMMAND\n"),
        (["exec", "-t", "pod-1", "--", "sh"], 2, "standard input is not a terminal; leave out -t"),
        (["exec", "pod-1", "-c", "third", "--", "sh"], 2, "containers: main, second"),
        (
            ["exec", "--node", "node-9", "--", "sh"],
            2,
            "no node 'node-9'; there: control-plane, node-1",
        ),
        (["exec", "pod-1", "-c", "second", "--", "sh"], 1, "container second of pod pod-1 does not run"),
        (["exec", "pod-2", "--", "sh"], 1, "pod pod-2 is not scheduled yet; see fabric status"),
        (
            ["exec", "pod-3", "--", "sh"],
            1,
            "no pod 'pod-3' in namespace 'default'; did you mean pod-1, pod-2?",
        ),
        (
            ["exec", "node-1", "--", "sh"],
            1,
            "; node-1 is no pod but a machine of the underlay: fabric exec --node",
        ),
        (["exec", "-n", "team", "pod-1", "--", "sh"], 1, "in namespace 'team'; did you mean default/pod-1?"),
        (["logs", "pod-2"], 1, "pod pod-2 is not scheduled yet: it has no logs"),
        (["logs", "pod-1"], 1, "container of pod pod-1 has not been started yet: no logs"),
        (["logs", "pod-1", "-c", "third"], 2, "no container 'third' in pod pod-1"),
        (["logs", "pod-1", "--tail", "-2"], 2, "greater than or equal to -1"),
    ],
)
def test_what_cannot_be_run_or_read_says_why(fabric, runtime, words, code, said):
    answer = fabric(*words)
    assert (answer.code, answer.out) == (code, "") and said in answer.err
    assert runtime.asked == []


def test_a_worker_that_does_not_answer_is_code_1(fabric, runtime):
    runtime.answer = FabricError("worker 1 does not answer")
    answer = fabric("exec", "pod-1", "--", "true")
    assert (answer.code, answer.err) == (1, "error: worker 1 does not answer\n")


def test_an_api_server_that_is_away_is_code_1(fabric):
    fabric.cluster()
    answer = fabric("logs", "pod-1")
    assert answer.code == 1
    assert answer.err == "error: the API server does not answer: its socket is not there; see fabric status\n"


@pytest.fixture
def written(fabric, runtime):
    """pod-1 has written three lines, the last of them in two parts."""
    folder = fabric.paths.node("node-1") / "var/log/pods/default_pod-1_uid-1/main"
    folder.mkdir(parents=True)
    stamp = "2026-01-01T12:00:0{}Z stdout {} {}\n"
    lines = [(0, "F", "one"), (1, "F", "two"), (2, "P", "thr"), (3, "F", "ee")]
    (folder / "0.log").write_text("".join(stamp.format(*line) for line in lines))
    return folder


def test_logs_are_what_the_container_wrote(fabric, written):
    assert fabric("logs", "pod-1").out == "one\ntwo\nthree\n"
    assert fabric("logs", "pod-1", "--tail", "1").out == "ee\n"
    assert fabric("logs", "pod-1", "--tail", "0").out == ""
    stamped = fabric("logs", "pod-1", "--timestamps").out.splitlines()
    assert stamped[0] == "2026-01-01T12:00:00Z one"
    (written / "1.log").write_text("2026-01-01T12:01:00Z stderr F again\n")
    assert fabric("logs", "pod-1").out == "again\n", "those of its last start"


def test_logs_that_are_followed_end_with_the_pod(fabric, written, monkeypatch):
    monkeypatch.setitem(ANSWERS, f"{PODS}/pod-1", POD | {"status": {"phase": "Succeeded"}})
    assert fabric("logs", "-f", "pod-1").out == "one\ntwo\nthree\n"
