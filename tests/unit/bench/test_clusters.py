"""Clusters of one measurement: their topologies are accepted, and the first error is the one that is told."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import Any

import pytest

from fabric.bench import bgp, clusters
from fabric.cli.bench_commands import KEEPALIVE_SECONDS_MAX
from fabric.cluster.validation import check_network
from fabric.errors import FabricError
from fabric.topology.load import load


@pytest.mark.parametrize("keepalive_seconds", [0, 1, KEEPALIVE_SECONDS_MAX])
@pytest.mark.parametrize("shape", ["mesh", "reflectors"])
def test_every_shape_of_bench_bgp_is_a_topology_that_up_takes(tmp_path, shape, keepalive_seconds):
    file = tmp_path / "topology.yaml"
    file.write_text(json.dumps(bgp.topology("a", 4, shape, keepalive_seconds)))
    check_network(load(file))


class Machine:
    """A machine's clusters: what is up, what was asked for and said; it refuses what it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *refused: str) -> None:
        self.up: set[str] = set()
        self.asked: list[str] = []
        self.said: list[str] = []
        self._refused = refused
        monkeypatch.setattr(clusters, "run_fabric", self._run)
        monkeypatch.setattr(clusters.downs, "down", self._down)

    def _run(self, verb: str, *arguments: str) -> str:
        self.asked.append(verb)
        if verb in self._refused:
            raise FabricError(f"{verb} is refused")
        (self.up.add if verb == "up" else self.up.discard)("a")
        return "{}"

    def _down(self, name: str) -> bool:
        self.asked.append("removal")
        if "removal" in self._refused:
            raise FabricError("a process cannot be killed")
        found = name in self.up
        self.up.discard(name)
        return found


def running(machine: Machine) -> AbstractContextManager[dict[str, Any]]:
    return clusters.running({"metadata": {"name": "a"}}, say=machine.said.append)


def test_the_error_of_up_is_told_and_what_it_left_is_removed(monkeypatch):
    machine = Machine(monkeypatch, "up")
    with pytest.raises(FabricError, match="up is refused"), running(machine):
        pytest.fail("it is not up")
    assert machine.asked == ["up", "removal"] and machine.said == []


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt(), SystemExit(143)])
def test_a_body_that_fails_leaves_no_cluster_and_its_error_is_told(monkeypatch, error):
    machine = Machine(monkeypatch)
    with pytest.raises(type(error)) as caught, running(machine):
        raise error
    assert machine.asked == ["up", "removal"] and machine.up == set() and caught.value is error


def test_a_cluster_that_cannot_be_removed_is_named_with_the_command(monkeypatch):
    machine = Machine(monkeypatch, "removal")
    with pytest.raises(KeyboardInterrupt), running(machine):
        raise KeyboardInterrupt
    assert machine.said == ["cluster a is still there (a process cannot be killed): sudo fabric down a"]


def test_who_interrupts_the_removal_too_is_told_of_the_cluster(monkeypatch):
    machine = Machine(monkeypatch)

    def impatient(name: str) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(clusters.downs, "down", impatient)
    with pytest.raises(FabricError, match="did not converge"), running(machine):
        raise FabricError("did not converge")
    assert machine.said == ["cluster a is still there (interrupted): sudo fabric down a"]


def test_a_measurement_that_went_well_takes_its_cluster_down_once(monkeypatch):
    machine = Machine(monkeypatch)
    with running(machine) as report:
        assert (report, machine.asked, machine.up) == ({}, ["up"], {"a"})
    assert machine.asked == ["up", "down"] and machine.up == set()


def test_a_down_that_is_refused_is_told_and_tried_once_more(monkeypatch):
    machine = Machine(monkeypatch, "down")
    with pytest.raises(FabricError, match="down is refused"), running(machine):
        pass
    assert machine.asked == ["up", "down", "removal"] and machine.up == set()


def test_what_a_command_says_when_it_fails_is_the_error():
    with pytest.raises(FabricError, match=r"(?s)^fabric frobnicate: .*No such command 'frobnicate'"):
        clusters.run_fabric("frobnicate")
    assert clusters.run_fabric("--version").startswith("fabric ")


def test_no_two_measurements_have_a_cluster_of_one_name():
    assert len({clusters.fresh_name() for _ in range(100)}) == 100
