"""up and plan: what is said at the end, on the way, and when somebody loses patience."""

from __future__ import annotations

import json
import os

import pytest
import yaml
from support.command_line import FLANNEL

from fabric.cli import up_command
from fabric.cluster import spec as specs
from fabric.cluster.preflight import Finding, Judgement
from fabric.cluster.stages import Progress, Settled
from fabric.cluster.up import UpResult
from fabric.errors import FabricError
from fabric.verify.reachability import Matrix, PodEnded


def pod(number):
    return {
        "metadata": {"name": f"pod-{number}", "namespace": "default"},
        "spec": {"nodeName": "node-1"},
        "status": {"phase": "Running", "podIP": f"10.244.1.{number}"},
    }


WELL = Matrix(12, 12, True)


class Settling:
    """The stages of an up that went as they are told to."""

    settled_as = Settled(["node-1", "node-2"], [pod(1), pod(2)], [])
    error: BaseException | None = None
    closed = 0

    def __init__(self, *_, **__):
        pass

    async def run(self):
        if self.error is not None:
            raise self.error
        return self.settled_as

    settled = run

    async def close(self):
        Settling.closed += 1


@pytest.fixture
def up(fabric, monkeypatch):
    """`fabric up` for a cluster that comes up at once; `fabric.matrix` is what pods reach."""
    file, paths = fabric.file(FLANNEL), fabric.cluster("t")
    fabric.judgement = Judgement([], frozenset())
    fabric.matrices, fabric.created = [WELL], True
    monkeypatch.setattr(Settling, "settled_as", Settling.settled_as)
    monkeypatch.setattr(Settling, "error", None)
    monkeypatch.setattr(Settling, "closed", 0)
    monkeypatch.setattr(up_command.preflight, "check", lambda *_, **__: fabric.judgement)
    monkeypatch.setattr(up_command, "Settling", Settling)

    async def reach(paths, spec, pods, progress, closed):
        found = fabric.matrices.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def begin(*_, **__):
        return UpResult(paths, specs.current(paths), fabric.created)

    monkeypatch.setattr(up_command, "pod_reachability", reach)
    monkeypatch.setattr(up_command, "begin", begin)
    monkeypatch.setattr(up_command.running, "closed_pings", lambda paths: lambda source, target: False)
    return lambda *words: fabric("up", str(file), *words)


def test_a_cluster_that_came_up_is_told_with_its_pods_and_code_0(up, fabric):
    answer = up()
    assert answer.code == 0 and Settling.closed == 1
    lines = answer.out.splitlines()
    assert "default     pod-1   10.244.1.1   node-1" in lines
    assert lines[-4:-2] == ["Cluster t is up: 2 nodes, 2 pods", "12/12 pod pairs reachable"]
    assert lines[-1] == f"export KUBECONFIG={fabric.folder}/run/t/kubeconfig"
    fabric.created, fabric.matrices = False, [WELL]
    assert "Cluster t is as the file says: 2 nodes, 2 pods" in up().out


def test_json_has_all_of_it_and_nothing_else_is_printed(up, fabric):
    answer = up("-o", "json")
    said = json.loads(answer.out)
    assert (answer.code, answer.err) == (0, "")
    assert said["reachability"] == {
        "pairs": 12,
        "reached": 12,
        "allPairs": True,
        "closedByPolicies": 0,
        "failures": [],
    }
    assert said["nodes"] == [
        {"name": "node-1", "address": "192.168.0.11"},
        {"name": "node-2", "address": "192.168.0.12"},
    ]
    assert said["pods"][0] == {
        "namespace": "default",
        "name": "pod-1",
        "ip": "10.244.1.1",
        "node": "node-1",
        "phase": "Running",
    }
    fabric.matrices = [WELL]
    assert yaml.safe_load(up("-o", "yaml").out)["differences"] == []


def test_pods_of_others_that_are_not_up_are_told_with_code_0(up, monkeypatch):
    late = [f"pod default/web-{i} is not up, and not of the file: ErrImagePull" for i in range(25)]
    monkeypatch.setattr(Settling, "settled_as", Settled(["node-1"], [pod(1)], [], late))
    answer = up()
    notes = [line for line in answer.out.splitlines() if line.startswith("note: ")]
    assert (answer.code, len(notes), notes[0]) == (0, 21, f"note: {late[0]}")
    assert notes[-1] == "note: 5 more pods not of the file, not up; see fabric status"


def test_what_is_not_as_the_file_says_is_a_line_and_code_1(up, monkeypatch):
    settled = Settled(["node-1"], [pod(1)], ["Pod default/pod-2: it was deleted"])
    monkeypatch.setattr(Settling, "settled_as", settled)
    answer = up()
    assert answer.code == 1
    assert (
        "Cluster t is not as the file says: 1 node, 1 pod\n! Pod default/pod-2: it was deleted" in answer.out
    )


def test_pods_that_do_not_reach_each_other_are_named_and_code_is_1(up, fabric):
    fabric.matrices = [Matrix(2, 1, True, (("default/pod-1", "default/pod-2"),))] * 2
    answer = up()
    assert answer.code == 1 and "✗ reachability" in answer.err
    assert "1/2 pod pairs reachable\n  default/pod-1 does not reach default/pod-2" in answer.out
    assert up("-o", "json").code == 1


def test_without_the_check_nothing_is_asked(up, fabric):
    fabric.matrices = []
    answer = up("--no-check")
    assert answer.code == 0 and "reachable" not in answer.out
    assert json.loads(up("--no-check", "-o", "json").out)["reachability"] is None


def test_a_pod_that_ends_while_it_is_checked_is_waited_for(up, fabric):
    fabric.matrices = [PodEnded("pod-1 ended"), WELL]
    assert up().code == 0
    fabric.matrices = [PodEnded("pod-1 ended")] * 3
    answer = up("--timeout", "0")
    assert (answer.code, answer.err.splitlines()[-1]) == (1, "error: pod-1 ended")


def test_many_pods_are_cut_in_a_table_and_whole_with_wide(up, fabric, monkeypatch):
    monkeypatch.setattr(Settling, "settled_as", Settled(["node-1"], [pod(it) for it in range(30)], []))
    out = up().out
    assert "pod-19 " in out and "pod-20 " not in out
    assert "… and 10 more (fabric up -o wide shows all)" in out
    fabric.matrices = [WELL]
    assert "pod-29 " in up("-o", "wide").out


def test_who_interrupts_is_told_that_the_cluster_goes_on_and_how_to_end_it(up, monkeypatch):
    monkeypatch.setattr(Settling, "error", KeyboardInterrupt())
    answer = up()
    assert answer.code == 130 and answer.out == ""
    assert answer.err.splitlines()[-1] == (
        "interrupted: cluster t goes on coming up; fabric status t shows it, fabric down t ends it"
    )
    assert Settling.closed == 1


def test_a_stage_that_fails_is_code_1_and_closes_what_it_opened(up, monkeypatch):
    monkeypatch.setattr(Settling, "error", FabricError("node-1 is not Ready after 120 s"))
    answer = up()
    assert (answer.code, Settling.closed) == (1, 1)
    assert answer.err.splitlines()[-1] == "error: node-1 is not Ready after 120 s"


def test_warnings_of_preflight_are_told_and_the_cluster_is_built(up, fabric):
    fabric.judgement = Judgement([Finding("pids", "warning", "few", "raise it")], frozenset())
    answer = up()
    assert answer.code == 0 and "warning: pids: few; raise it\n" in answer.err


@pytest.mark.parametrize("command", ["up", "plan"])
def test_a_file_that_is_wrong_builds_nothing_and_is_code_2(fabric, command):
    file = fabric.file("nodes: 2, network: {plugin: flannel, backend: vxlam}, podCIDR: 10.0.0.0/33")
    answer = fabric(command, str(file))
    assert (answer.code, answer.out) == (2, "")
    assert f"error: {file}:4: spec.podCIDR" in answer.err
    missing = fabric(command, str(fabric.folder / "none.yaml"))
    assert missing.code == 2 and "none.yaml" in missing.err and "Traceback" not in missing.err
    assert fabric("list", "-o", "json").out == "[]\n"


def test_a_plan_is_text_or_data_and_needs_no_root(fabric, monkeypatch):
    file = fabric.file(FLANNEL)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    text = fabric("plan", str(file))
    assert text.code == 0 and text.out.startswith("namespace switch\n")
    assert text.out.endswith("then 0 manifests applied, and pods are wired where they run\n")
    plans = json.loads(fabric("plan", str(file), "-o", "json").out)
    assert [it["namespace"] for it in plans] == ["switch", "control-plane", "node-1", "node-2"]
    assert all("bird.conf" not in it and it["underlay"] for it in plans)


class Terminal:
    """A standard error of a terminal or a pipe, that keeps what is written."""

    def __init__(self, is_terminal):
        self.text = ""
        self._is_terminal = is_terminal

    def isatty(self):
        return self._is_terminal

    def write(self, text):
        self.text += text

    def flush(self):
        """Keep nothing back."""


def shown(monkeypatch, is_terminal, *progress, quiet=False):
    terminal = Terminal(is_terminal)
    monkeypatch.setattr(up_command.sys, "stderr", terminal)
    stages = up_command.Stages(quiet=quiet)
    for each in progress:
        stages.show(each)
    return stages, terminal.text


RUNNING = Progress("pods", "running", "pod-2: ImagePull", 1, 2)
DONE = Progress("pods", "done", "all of them", 2, 2)


def test_a_log_has_one_line_a_stage_and_a_terminal_is_written_over(monkeypatch):
    _, log = shown(monkeypatch, False, RUNNING, RUNNING, DONE)
    assert log.startswith("✓ pods") and log.count("\n") == 1 and "2/2" in log and "all of" not in log
    _, live = shown(monkeypatch, True, RUNNING, DONE)
    assert live.count("\r\x1b[K") == 2 and "… pods" in live and "pod-2: ImagePull" in live
    assert live.endswith("s\n")


def test_a_log_tells_now_and_then_what_a_long_stage_waits_for(monkeypatch):
    seconds = iter([0.0, 1.0, 6.0, 7.0, 11.5, 12.0])
    monkeypatch.setattr(up_command.time, "monotonic", lambda: next(seconds))
    _, log = shown(monkeypatch, False, RUNNING, RUNNING, RUNNING, RUNNING, RUNNING, DONE)
    assert [line.split()[:4] for line in log.splitlines()] == [
        ["…", "pods", "1/2", "6.00"],
        ["…", "pods", "1/2", "11.50"],
        ["✓", "pods", "2/2", "12.00"],
    ]
    assert log.count("pod-2: ImagePull") == 2


def test_a_quiet_up_prints_nothing_and_still_takes_the_time(monkeypatch):
    stages, text = shown(monkeypatch, True, RUNNING, DONE, quiet=True)
    assert text == "" and stages.seconds.keys() == {"pods"}


def test_a_long_detail_is_cut(monkeypatch):
    _, text = shown(monkeypatch, False, Progress("pods", "failed", "x" * 300))
    assert text.startswith("✗ pods") and text.endswith("x…\n") and len(text) < 150
    monkeypatch.setattr(up_command.shutil, "get_terminal_size", lambda: os.terminal_size((40, 20)))
    _, live = shown(monkeypatch, True, Progress("pods", "running", "x" * 300))
    assert len(live.removeprefix("\r\x1b[K")) == 39
