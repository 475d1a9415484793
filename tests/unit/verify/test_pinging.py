"""Reachability: which pods are asked, how often, and what is told of those that do not answer."""

from __future__ import annotations

import struct
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.errors import FabricError
from fabric.verify import echo, reachability
from fabric.verify.reachability import FAILURES_KEPT, TRIES, Matrix, PodEnded, pod_reachability


def pod(number, *, phase="Running", address=True, **spec):
    return {
        "metadata": {"name": f"pod-{number}", "namespace": "default", "uid": f"uid-{number}"},
        "spec": {"nodeName": f"node-{number % 2 + 1}"} | spec,
        "status": {"phase": phase} | ({"podIP": f"10.244.1.{number}"} if address else {}),
    }


class Pinger:
    """A network in which some pairs answer only from a certain try on, and some never."""

    made: ClassVar[list] = []
    dead: ClassVar[frozenset] = frozenset()
    late: ClassVar[dict] = {}
    error: ClassVar[OSError | None] = None

    def __init__(self, pids, version):
        if self.error:
            raise self.error
        self.pids, self.version, self.tries, self.closed = pids, version, 0, False
        Pinger.made.append(self)

    def ping(self, pairs, addresses, *, wait_seconds, answered):
        self.tries += 1
        left = {it for it in pairs if it in self.dead or self.late.get(it, 0) >= self.tries}
        answered(len(pairs) - len(left))
        return left

    def close(self):
        self.closed = True


@pytest.fixture
def network(monkeypatch):
    async def pids(paths, workers):
        return {f"uid-{number}": number for number in range(40)}

    monkeypatch.setattr(reachability, "sandbox_pids", pids)
    monkeypatch.setattr(reachability, "Pinger", Pinger)
    for name, value in (("made", []), ("dead", frozenset()), ("late", {}), ("error", None)):
        monkeypatch.setattr(Pinger, name, value)
    return Pinger


async def test_every_ordered_pair_of_running_pods_is_asked(cluster, network):
    seen = []
    found = await pod_reachability(*cluster(), [pod(1), pod(2), pod(3)], lambda *it: seen.append(it))
    assert found == Matrix(6, 6, True) and found.complete and seen == [(6, 6)]
    (pinger,) = network.made
    assert (pinger.pids, pinger.version, pinger.tries, pinger.closed) == ({0: 1, 1: 2, 2: 3}, 4, 1, True)


@pytest.mark.parametrize(
    "other",
    [
        pod(2, phase="Pending"),
        pod(2, phase="Succeeded"),
        pod(2, address=False),
        pod(2, hostNetwork=True),
        {"metadata": {"name": "a", "uid": "b"}, "spec": {}},
    ],
)
async def test_what_has_no_address_of_its_own_is_not_asked(cluster, network, other):
    assert await pod_reachability(*cluster(), [pod(1), other]) == Matrix(0, 0, True)
    assert network.made == []


async def test_pairs_that_policies_keep_apart_are_not_asked(cluster, network):
    seen = []

    def closed(source: str, target: str) -> bool:
        return target == "default/pod-1"

    found = await pod_reachability(*cluster(), [pod(1), pod(2)], lambda *it: seen.append(it), closed)
    assert found == Matrix(1, 1, True, closed=1) and found.complete and seen == [(1, 1)]


async def test_who_answers_late_is_asked_again_and_who_never_does_is_named(cluster, network):
    network.late, network.dead = {(0, 1): 3}, frozenset({(1, 0)})
    found = await pod_reachability(*cluster(), [pod(1), pod(2)])
    assert (found.reached, found.total) == (1, 2)
    assert found.failures == (("default/pod-2", "default/pod-1"),)
    assert found.first_failure == "default/pod-2 does not reach default/pod-1"
    assert network.made[0].tries == TRIES and network.made[0].closed
    assert found.as_json()["failures"] == [{"from": "default/pod-2", "to": "default/pod-1"}]


async def test_of_many_failures_the_first_are_kept(cluster, network):
    network.dead = frozenset((a, b) for a in range(10) for b in range(10))
    found = await pod_reachability(*cluster(), [pod(number) for number in range(10)])
    assert (found.total, found.reached, len(found.failures)) == (90, 0, FAILURES_KEPT)


async def test_a_pod_that_ended_is_told_as_such(cluster, network):
    with pytest.raises(PodEnded, match="pod default/pod-99 is Running, but no runtime knows its sandbox"):
        await pod_reachability(*cluster(), [pod(99), pod(1)])
    network.error = FileNotFoundError(2, "No such file or directory")
    with pytest.raises(PodEnded, match="a pod ended while the check began"):
        await pod_reachability(*cluster(), [pod(1), pod(2)])
    assert issubclass(PodEnded, FabricError)


async def test_ipv6_is_asked_in_its_own_words(cluster, network):
    pods = [pod(1), pod(2)]
    for each in pods:
        each["status"]["podIP"] = f"fd00::{each['metadata']['name'][-1]}"
    await pod_reachability(*cluster(), pods)
    assert network.made[0].version == 6


def test_a_kernel_that_does_not_say_how_much_arp_it_holds_has_enough(monkeypatch, tmp_path):
    monkeypatch.setattr(reachability, "_THRESHOLD", tmp_path / "none")
    assert reachability._arp_entries_max() == 1 << 30
    (tmp_path / "none").write_text("1024\n")
    assert reachability._arp_entries_max() == 768


indexes = st.integers(0, 0xFFFF)
versions = st.sampled_from([4, 6])
IPV4_HEADER = b"\x45" + bytes(19)


@given(versions, indexes, indexes)
def test_a_reply_tells_which_pair_it_belongs_to_and_a_request_none(version, source, target):
    request = echo.request(version, source, target)
    header = IPV4_HEADER if version == 4 else b""
    reply = header + bytes([echo._FAMILIES[version].reply]) + request[1:]
    assert echo.reply(version, reply) == (source, target)
    assert echo.reply(version, header + request) == (-1, -1)
    cut = len(header) + 7
    assert echo.reply(version, reply[:-1]) == echo.reply(version, reply[:cut]) == (-1, -1)


@given(versions, indexes, indexes)
def test_a_request_carries_the_internets_checksum(version, source, target):
    words = struct.unpack("!20H", echo.request(version, source, target))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF
