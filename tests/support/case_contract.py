"""The part of the kernel port's contract that is rows of cases: each is put, read, put again and deleted.

A test class inherits `CaseContract` through a contract that names its rows, and gives the fixture `kernel`,
whose namespaces `node-1`, `node-2` and `pod:1` are empty.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from typing import ClassVar

import pytest

from fabric.errors import KernelRefused
from fabric.netstate.objects import NetObject, NetState, Setting, Sysctl
from fabric.netstate.plan import Plan, diff
from fabric.netstate.port import Host, Kernel, Owner
from support.kernel_cases import LAN, RoundTrip
from support.kernel_refusals import Refusal

NOTHING: NetState = frozenset()


def owner_of(*states: NetState) -> Owner:
    """Return the owner of these objects and of no others."""
    objects = frozenset().union(*states)
    keys = {obj.key for obj in objects}
    paths = frozenset(obj.path for obj in objects if isinstance(obj, Sysctl))
    return Owner("test", frozenset(map(type, objects)), lambda obj: obj.key in keys, paths)


async def put(host: Host, *objects: NetObject) -> NetState:
    """Add the objects, which stand on nothing that is not there."""
    state = frozenset(objects)
    await host.apply(diff(state, NOTHING))
    return state


async def left_to_do(host: Host, desired: NetState) -> str:
    """Return the plan from what is there to `desired`; empty when it is all there."""
    return str(diff(desired, await host.read(owner_of(desired))))


class CaseContract:
    round_trips: ClassVar[Mapping[str, RoundTrip]]
    """What stands there before, and what is put on it."""
    refusals: ClassVar[Mapping[str, Refusal]]
    changes: ClassVar[Sequence[tuple[NetObject, NetObject]]]
    """From the first to the second of each, on a node's LAN."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "round_trip" in metafunc.fixturenames:
            metafunc.parametrize("round_trip", self.round_trips.values(), ids=self.round_trips)
        if "refusal" in metafunc.fixturenames:
            metafunc.parametrize("refusal", self.refusals.values(), ids=self.refusals)
        if "change" in metafunc.fixturenames:
            metafunc.parametrize("change", self.changes, ids=[f"{old}-{new}" for old, new in self.changes])

    async def test_what_was_applied_reads_back(self, kernel: Kernel, round_trip: RoundTrip):
        base, objects = round_trip
        host = kernel.host("node-1")
        await put(host, *base)
        await put(host, *objects)
        assert await left_to_do(host, frozenset(objects)) == ""

    async def test_what_is_there_may_be_added_again(self, kernel: Kernel, round_trip: RoundTrip):
        base, objects = round_trip
        host = kernel.host("node-1")
        await put(host, *base, *objects)
        await put(host, *base, *objects)
        assert await left_to_do(host, frozenset(objects)) == ""

    async def test_what_was_applied_can_be_deleted_twice(self, kernel: Kernel, round_trip: RoundTrip):
        base, objects = round_trip
        host, owner = kernel.host("node-1"), owner_of(frozenset(objects))
        await put(host, *base, *objects)
        actual = await host.read(owner)
        for _ in range(2):
            await host.apply(diff(NOTHING, actual))
        assert {obj for obj in await host.read(owner) if not isinstance(obj, Setting)} == set()

    async def test_what_linux_refuses_is_refused(self, kernel: Kernel, refusal: Refusal):
        host = kernel.host("node-1")
        await put(host, *refusal.base)
        with pytest.raises(KernelRefused) as refused:
            await host.apply(Plan((refusal.step,)))
        message = str(refused.value)
        assert message.startswith("node-1: ") and str(refusal.step).split("\n")[0] in message
        if refusal.errno:
            assert f"({errno.errorcode[refusal.errno]})" in message

    async def test_a_change_is_carried_out(self, kernel: Kernel, change: tuple[NetObject, NetObject]):
        old, new = change
        host = kernel.host("node-1")
        await put(host, *LAN, old)
        await host.apply(diff(frozenset({new}), await host.read(owner_of(frozenset({old})))))
        assert await left_to_do(host, frozenset({new})) == ""
