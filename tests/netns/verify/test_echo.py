"""Echo requests between real namespaces: who answers, who does not, and that nothing stays open."""

from __future__ import annotations

import os
import subprocess

import pytest
from support.namespaces import namespaces

from fabric.verify.echo import Pinger


def ip(pid: int, *words: str) -> None:
    subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", *words], check=True)


@pytest.fixture
def pair():
    """Two namespaces on one wire, node-1 and node-2, of both families."""
    with namespaces("node-1", "node-2") as pids:
        one, two = pids["node-1"], pids["node-2"]
        ip(one, "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", f"/proc/{two}/ns/net")
        for number, pid in enumerate((one, two), 1):
            ip(pid, "address", "add", f"192.0.2.{number}/24", "dev", "eth0")
            ip(pid, "address", "add", f"2001:db8::{number}/64", "dev", "eth0", "nodad")
            ip(pid, "link", "set", "eth0", "up")
        yield [one, two]


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(("version", "prefix"), [(4, "192.0.2."), (6, "2001:db8::")])
def test_pairs_that_answer_are_told_from_those_that_do_not(pair, version, prefix):
    addresses = [f"{prefix}1", f"{prefix}2", f"{prefix}9"]
    before = open_files()
    pinger = Pinger(dict(enumerate(pair)), version)
    answers: list[int] = []
    try:
        left = {(0, 1), (1, 0), (0, 2)}
        for _ in range(5):
            left = pinger.ping(sorted(left), addresses, wait_seconds=0.3, answered=answers.append)
            if left == {(0, 2)}:
                break
    finally:
        pinger.close()
    assert left == {(0, 2)} and sum(answers) == 2
    assert open_files() == before


def test_a_wire_that_is_pulled_answers_nobody_and_the_asking_ends(pair):
    ip(pair[1], "link", "set", "eth0", "down")
    pinger = Pinger(dict(enumerate(pair)), 4)
    try:
        pairs = {(0, 1), (1, 0)}
        assert pinger.ping(pairs, ["192.0.2.1", "192.0.2.2"], wait_seconds=0.2) == pairs
    finally:
        pinger.close()


def test_a_namespace_that_is_gone_leaves_no_socket_open(pair):
    before = open_files()
    with pytest.raises(OSError):
        Pinger({0: pair[0], 1: 2**22 - 1}, 4)
    assert open_files() == before
