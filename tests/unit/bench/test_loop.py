"""`bench loop` on the fake kernel: a change is one step and no reading, however many there are."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fabric.bench import loop, parts
from fabric.bench.parts import CHANGES_MAX, KINDS, MEMBERS_MAX, PARTS_MAX, part
from fabric.bench.timed_host import TimedHost
from fabric.errors import FabricError
from fabric.kernel.fake import FakeKernel
from fabric.netstate.plan import diff


@pytest.fixture(scope="module")
def found():
    return list(loop.measure("fake", [2, 5], [3, 2000], 4, lambda text: None))


def test_every_kind_of_part_and_each_size_of_set_is_measured(found):
    assert [(it.changed, it.among) for it in found] == [
        ("peer", 2),
        ("peer", 5),
        ("policy", 2),
        ("policy", 5),
        ("member", 3),
        ("member", 2000),
    ]
    assert {it.changes for it in found} == {4}


def test_a_change_of_one_part_is_one_step_and_no_reading(found):
    assert {(it.steps, it.reads) for it in found} == {(1, 0)}


def test_a_member_more_is_one_line_of_ipset_restore_whatever_the_set(found):
    assert {it.restore_lines for it in found if it.changed == "member"} == {1}
    assert {it.restore_lines for it in found if it.changed != "member"} == {None}


def test_only_the_real_kernel_has_a_cost_of_writing(found):
    assert {it.write_milliseconds for it in found} == {None}
    assert all(it.loop_milliseconds > 0 for it in found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [1, 255, 256, PARTS_MAX])
def test_parts_share_no_object_and_two_versions_of_one_differ_in_one(kind, number):
    first, other = part(kind, number, 1), part(kind, number, 2)
    assert {it.key for it in first} == {it.key for it in other} and len(first - other) == 1
    assert {it.key for it in first}.isdisjoint(it.key for it in part(kind, number - 1, 1))
    assert all(parts.OWNER.owns(it) for it in first | other | parts.ROOT)


@given(
    st.sampled_from(KINDS),
    st.integers(0, PARTS_MAX),
    st.integers(0, CHANGES_MAX),
    st.integers(0, CHANGES_MAX),
)
@example("peer", 1, 0, 200)
@example("policy", 1, 5000, 15000)
def test_any_two_versions_of_a_part_differ_in_one_object(kind, number, one, other):
    """Else a change among 200 parts would be none, and the cost of nothing be told."""
    difference = part(kind, number, one) - part(kind, number, other)
    assert len(difference) == (one != other)


@pytest.mark.parametrize("count", [1, 200])
def test_every_change_that_is_measured_is_written(monkeypatch, count):
    written = []
    apply = TimedHost.apply

    async def noted(self, plan):
        written.append(len(plan.steps))
        await apply(self, plan)

    monkeypatch.setattr(TimedHost, "apply", noted)
    for kind in KINDS:
        written.clear()
        asyncio.run(
            loop._with_loop(FakeKernel("node-1").host("node-1"), "fake", kind, count, 401, loop._change_parts)
        )
        assert written[-401:] == [1] * 401 and len(written) == 402, "the first plan, and one for each change"


def test_a_change_that_the_kernel_refuses_for_ever_is_an_error_that_says_why(monkeypatch):
    apply, began = TimedHost.apply, set()

    async def refuse_later(self, plan):
        if self in began:
            raise FabricError("no memory")
        began.add(self)
        await apply(self, plan)

    monkeypatch.setattr(TimedHost, "apply", refuse_later)
    monkeypatch.setattr(loop, "CONVERGE_SECONDS_MAX", 0.5)
    for counts, sizes in (([3], []), ([], [3])):
        with pytest.raises(FabricError, match=r"the loop did not converge in 0.5 s: no memory"):
            list(loop.measure("fake", counts, sizes, 3, lambda text: None))
    assert len(began) == 2, "the first plans were written"


def test_what_is_measured_is_told_before_it_is_and_figures_come_one_by_one():
    said: list[str] = []
    measured = loop.measure("fake", [1, 2], [1], 1, said.append)
    assert said == []
    assert (next(measured).among, said) == (1, ["fake: 1 part of kind peer"])
    rest = [(it.changed, it.among) for it in measured]
    assert rest == [("peer", 2), ("policy", 1), ("policy", 2), ("member", 1)]
    assert said[-1] == "fake: a set of 1 member"


def test_the_largest_set_and_the_last_change_of_it_are_of_addresses_that_there_are():
    first = ip_address("10.100.0.1")
    assert first + MEMBERS_MAX - 1 < ip_address("10.200.0.0"), "or a change would add what is there"
    assert ip_address(f"10.200.{CHANGES_MAX // 256}.{CHANGES_MAX % 256}")
    assert sorted(parts.member_set(3).members) == ["10.100.0.1", "10.100.0.2", "10.100.0.3"]


def test_a_loop_that_does_not_converge_is_an_error_that_says_why(monkeypatch):
    async def refuse(self, plan):
        raise FabricError("no memory")

    monkeypatch.setattr(TimedHost, "apply", refuse)
    monkeypatch.setattr(loop, "CONVERGE_SECONDS_MAX", 0.2)
    with pytest.raises(FabricError, match=r"the loop did not converge in 0.2 s: no memory"):
        list(loop.measure("fake", [1], [], 1, lambda text: None))


async def test_a_timed_host_passes_everything_on_and_counts_it():
    inner = FakeKernel("node-1").host("node-1")
    host = TimedHost(inner)
    noticed = []
    stop = host.watch(lambda *told: noticed.append(told))
    await host.apply(diff(parts.ROOT, frozenset()))
    assert await host.read(parts.OWNER) == await inner.read(parts.OWNER)
    assert (host.name, host.reads, len(inner.state)) == ("node-1", 1, len(parts.ROOT))
    inner.tell("netlink", None, False)
    await asyncio.sleep(0)
    assert host.write_seconds > 0 and noticed == [("netlink", None, False)]
    stop()
    inner.tell("netlink", None, True)
    await asyncio.sleep(0)
    assert len(noticed) == 1
