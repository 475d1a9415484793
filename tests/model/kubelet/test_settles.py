"""Whatever happens to pods, kubelet, runtime, network and node: all settles, and nothing leaks."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.crash_world import PROGRAMS, CrashWorld
from support.virtual_time import VirtualTimeLoop

from fabric.api.objects import resource_version_of

PODS = 3
SETTLING_SECONDS = 900.0

number = st.integers(1, PODS)
moment = st.sampled_from([0.0, 0.001, 0.2, 1.5, 12.0, 70.0])
create = st.tuples(
    st.just("create"),
    number,
    st.sampled_from(sorted(PROGRAMS)),
    st.sampled_from(["Always", "OnFailure", "Never"]),
    st.sampled_from(["", "", "job", "crash", "at-once"]),
    st.sampled_from([0, 1, 30]),
)
step = st.one_of(
    create,
    create,
    st.tuples(st.just("delete"), number, st.sampled_from([None, 0, 5])),
    st.tuples(st.just("crash_container"), number, st.sampled_from([0, 1, 137])),
    st.tuples(st.just("crash_sandbox"), number),
    st.tuples(st.just("restart_kubelet"), moment),
    st.tuples(st.just("power_off"), moment),
    st.tuples(st.just("lose_runtime"), moment),
    st.tuples(st.just("lose_network"), moment),
    st.tuples(st.just("refuse_veth")),
    st.tuples(st.just("delete_veth")),
    st.tuples(st.just("wait"), moment),
    st.tuples(st.just("wait"), moment),
)


async def _play(root: Path, steps: list[tuple[Any, ...]]) -> None:
    world = CrashWorld(root)
    await world.start()
    try:
        for verb, *arguments in steps:
            await world.play(verb, *arguments)
        await world.wait(SETTLING_SECONDS)
        await world.check()
    finally:
        await world.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(step, max_size=14))
def test_any_order_of_events_and_crashes_settles_and_leaks_nothing(steps):
    loop = VirtualTimeLoop()
    try:
        with TemporaryDirectory() as root:
            loop.run_until_complete(_play(Path(root), steps))
    finally:
        loop.close()


def test_a_settled_world_writes_no_pod():
    async def play(root: Path) -> None:
        world = CrashWorld(root)
        await world.start()
        await world.play("create", 1, "for-ever", "Always", "job", 30)
        await world.play("create", 2, "job", "Never", "", 30)
        await world.wait(30)
        before = [resource_version_of(pod) for pod in await world.pods()]
        await world.wait(3600)
        assert [resource_version_of(pod) for pod in await world.pods()] == before
        await world.close()

    loop = VirtualTimeLoop()
    with TemporaryDirectory() as root:
        loop.run_until_complete(play(Path(root)))
    loop.close()
