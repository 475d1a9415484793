import asyncio
from ipaddress import IPv4Address, IPv4Network

from support.dict_host import DictHost
from support.owned_task import running

from fabric.control.netloop import NetLoop
from fabric.netstate.objects import Bridge, Route
from fabric.netstate.port import MEDIA, Owner

OWNER = Owner("flannel", frozenset({Route, Bridge}), lambda obj: True)


def route(number, via="10.0.0.1"):
    return Route(IPv4Network(f"10.244.{number}.0/24"), IPv4Address(via), "flannel.1", onlink=True)


ROUTE_1, ROUTE_2, ROUTE_3 = route(1), route(2), route(3)


async def test_it_creates():
    host = DictHost()
    loop = NetLoop(host, OWNER)
    loop.want("node", frozenset({ROUTE_1, ROUTE_2}))
    async with running(loop.run()):
        await asyncio.sleep(0.1)
    assert host.state == {ROUTE_1, ROUTE_2}
    assert loop.is_converged


async def test_it_updates_in_one_replace_and_without_a_read():
    host = DictHost(ROUTE_1, ROUTE_2)
    loop = NetLoop(host, OWNER)
    loop.want("node", frozenset({ROUTE_1, ROUTE_2}))
    async with running(loop.run()):
        await asyncio.sleep(0.1)
        loop.want("node", frozenset({ROUTE_1, route(2, via="10.0.0.9")}))
        assert not loop.is_converged
        await asyncio.sleep(0.1)
    assert host.plans == ["replace route 10.244.2.0/24 via 10.0.0.9 dev flannel.1 onlink\n"]
    assert host.reads == 1
    assert loop.is_converged


async def test_it_removes():
    host = DictHost(ROUTE_1, ROUTE_2)
    loop = NetLoop(host, OWNER)
    loop.want("node", frozenset({ROUTE_1}))
    async with running(loop.run()):
        await asyncio.sleep(0.1)
    assert host.state == {ROUTE_1}


async def test_it_repairs_what_a_stranger_changed():
    host = DictHost()
    loop = NetLoop(host, OWNER, resync_seconds=dict.fromkeys(MEDIA, 5))
    loop.want("node", frozenset({ROUTE_1, ROUTE_2}))
    async with running(loop.run()):
        await asyncio.sleep(1)
        host.stranger_sets(route(1, via="10.0.0.66"), ROUTE_3)
        await asyncio.sleep(5)
    assert host.state == {ROUTE_1, ROUTE_2}


async def test_a_converged_state_applies_no_plan():
    host = DictHost(ROUTE_1)
    loop = NetLoop(host, OWNER, resync_seconds=dict.fromkeys(MEDIA, 5))
    loop.want("node", frozenset({ROUTE_1}))
    async with running(loop.run()):
        await asyncio.sleep(51)
        loop.want("node", frozenset({ROUTE_1}))
        await asyncio.sleep(1)
    assert host.plans == []
    assert host.reads == 11


async def test_a_timer_that_goes_off_a_little_early_makes_no_empty_passes():
    """Asyncio lets all timers go off that are due within 1 ns of the first."""
    when, _ = await passes_in(10.6)
    asyncio.get_running_loop().call_later(when[1] - 5e-10, lambda: None)
    _, reads = await passes_in(10.6)
    assert reads == [1, 2], "each pass reads"


async def passes_in(seconds):
    """The time and the reads at the end of each pass of a loop that reads its kernel after 7 s and more."""
    clock = asyncio.get_running_loop()
    host, start, when, reads = DictHost(), clock.time(), [], []

    def on_pass():
        when.append(clock.time() - start)
        reads.append(host.reads)
        assert len(when) <= 10, "the time stands still"

    loop = NetLoop(host, OWNER, resync_seconds=dict.fromkeys(MEDIA, 7), on_pass=on_pass)
    loop.want("node", frozenset({ROUTE_1}))
    async with running(loop.run()):
        await asyncio.sleep(seconds)
    return when, reads


async def test_nothing_is_touched_before_anything_was_wanted():
    host = DictHost(ROUTE_1)
    loop = NetLoop(host, OWNER)
    async with running(loop.run()):
        await asyncio.sleep(60)
        assert not loop.is_converged
        assert (host.plans, host.reads) == ([], 0)
        loop.want("node", frozenset())
        await asyncio.sleep(1)
    assert host.state == frozenset()


async def test_a_poke_reads_the_kernel_now():
    host = DictHost()
    loop = NetLoop(host, OWNER, resync_seconds=dict.fromkeys(MEDIA, 3600))
    loop.want("node", frozenset({ROUTE_1}))
    async with running(loop.run()):
        await asyncio.sleep(1)
        host.stranger_sets()
        loop.trigger()
        assert not loop.is_converged
        await asyncio.sleep(1)
    assert host.state == {ROUTE_1}


class OfAChangingOwner(DictHost):
    """While it is read for the first time, what is there becomes a stranger's, and so nobody's to want."""

    async def read(self, owner):
        found = await super().read(owner)
        if self.reads == 1:
            OWNED.clear()
            self.loop.want("node", frozenset())
            self.loop.trigger()
        return found


OWNED: set[Route] = set()


async def test_what_is_no_more_the_owners_when_it_was_read_is_not_deleted():
    OWNED.add(ROUTE_1)
    host = OfAChangingOwner(ROUTE_1)
    host.loop = loop = NetLoop(host, Owner("felix", frozenset({Route}), lambda obj: obj in OWNED))
    loop.want("node", frozenset({ROUTE_1}))
    async with running(loop.run()):
        await asyncio.sleep(1)
    assert (host.state, host.plans) == ({ROUTE_1}, [])


async def test_a_refusal_is_read_again_and_retried_with_a_doubling_delay():
    host = DictHost()
    host.gone = True
    loop = NetLoop(host, OWNER)
    loop.want("node", frozenset({ROUTE_1}))
    async with running(loop.run()):
        await asyncio.sleep(0.69)
        assert host.reads == 3
        assert "no such namespace" in loop.last_error
        assert not loop.is_converged
        host.gone = False
        await asyncio.sleep(0.02)
    assert host.state == {ROUTE_1}
    assert loop.last_error == ""


async def test_a_refused_step_does_not_hold_up_the_others():
    host = DictHost()
    host.refused = {ROUTE_2}
    loop = NetLoop(host, OWNER)
    loop.want("node", frozenset({ROUTE_1, ROUTE_2, ROUTE_3}))
    async with running(loop.run()):
        await asyncio.sleep(2)
        assert host.state == {ROUTE_1, ROUTE_3}
        assert "10.244.2.0/24" in loop.last_error
        host.refused.clear()
        await asyncio.sleep(10)
    assert host.state == {ROUTE_1, ROUTE_2, ROUTE_3}
    assert loop.is_converged


async def test_a_new_state_does_not_wait_for_the_back_off():
    host = DictHost()
    host.refused = {ROUTE_1}
    loop = NetLoop(host, OWNER)
    loop.want("node", frozenset({ROUTE_1}))
    async with running(loop.run()):
        await asyncio.sleep(30)
        loop.want("node", frozenset({ROUTE_2}))
        await asyncio.sleep(0.001)
    assert host.state == {ROUTE_2}


async def test_a_replaced_device_loses_what_hung_on_it_and_gets_it_back_at_once():
    class Linux(DictHost):
        async def apply(self, plan):
            await super().apply(plan)
            if any(step.verb == "replace" for step in plan.steps):
                del self.objects[ROUTE_1.key]

    host = Linux(Bridge("cni0", mtu=1500), ROUTE_1)
    loop = NetLoop(host, OWNER, resync_seconds=dict.fromkeys(MEDIA, 3600))
    desired = frozenset({Bridge("cni0", mtu=1450), ROUTE_1})
    loop.want("node", desired)
    async with running(loop.run()):
        await asyncio.sleep(0.1)
    assert host.state == desired
    assert host.reads == 2


async def test_a_poke_during_an_apply_is_not_lost():
    host = DictHost()
    loop = NetLoop(host, OWNER, resync_seconds=dict.fromkeys(MEDIA, 3600))

    class Slow(DictHost):
        async def apply(self, plan):
            await super().apply(plan)
            if len(self.plans) == 1:
                self.stranger_sets()
                loop.trigger()

    host = Slow()
    loop = NetLoop(host, OWNER, resync_seconds=dict.fromkeys(MEDIA, 3600))
    loop.want("node", frozenset({ROUTE_1}))
    async with running(loop.run()):
        await asyncio.sleep(0.1)
    assert host.state == {ROUTE_1}
