"""Whatever happens to nodes, workers, store, pools and kernels: all settles to what a fresh look computes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from support.calico_oracle import judge
from support.calico_world import MODES, WORKERS, CalicoWorld
from support.virtual_time import VirtualTimeLoop

NODES = 4
SETTLE_SECONDS = 1300
"""An address that nobody tells of is collected after 900 s of grace and one or two looks of 60 s."""

node = st.integers(1, NODES)
pick = st.integers(0, 40)
moment = st.sampled_from([0.0, 0.005, 0.03, 0.1, 1.0, 12.0])
step = st.one_of(
    st.tuples(st.just("join"), node),
    st.tuples(st.just("leave"), node, moment),
    st.tuples(st.just("kill_worker"), st.integers(0, WORKERS - 1), moment),
    st.tuples(st.just("linger"), node, moment),
    st.tuples(st.just("cut_power"), node, moment),
    st.tuples(st.just("lose_store"), moment),
    st.tuples(st.just("lose_history"), moment),
    st.tuples(st.just("compact")),
    st.tuples(st.just("toggle_pool")),
    st.tuples(st.just("set_mode"), st.sampled_from(sorted(MODES)), st.booleans()),
    st.tuples(st.just("delete_node_by_hand"), node),
    st.tuples(st.just("write_nonsense"), pick),
    st.tuples(st.just("tamper"), node, pick),
    st.tuples(st.just("label"), node, st.sampled_from("ab")),
    st.tuples(st.just("add_pod"), node),
    st.tuples(st.just("add_pod"), node),
    st.tuples(st.just("add_pod_and_kill"), node, st.sampled_from([0.02, 0.05, 0.08, 0.11, 0.15])),
    st.tuples(st.just("replace_pod"), pick),
    st.tuples(st.just("delete_pod"), pick),
    st.tuples(st.just("wait"), moment),
)


async def play(root: Path, steps, seed: int) -> None:
    world = CalicoWorld(root, seed, NODES)
    try:
        await world.start()
        for verb, *arguments in steps:
            await getattr(world, verb)(*arguments)
            world.raise_bugs()
        await world.set_mode("vxlan", disabled=False)
        await world.wait(SETTLE_SECONDS)
        world.raise_bugs()
        await judge(world)
        plans = {number: len(world.host(number).plans) for number in world.present}
        revision = await world.store.revision()
        await world.wait(300)
        assert {number: len(world.host(number).plans) for number in world.present} == plans
        assert await world.store.revision() == revision, "a settled cluster writes nothing"
    finally:
        await world.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(step, max_size=20), st.integers(0, 1000))
def test_any_order_of_events_settles_and_neither_gives_an_address_twice_nor_leaks_one(steps, seed):
    with TemporaryDirectory() as root, asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(play(Path(root), steps, seed))
