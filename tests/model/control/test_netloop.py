"""The net loop over the strict fake kernel: wanted, broken or refused, it converges to its parts."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from support.netstates import NAMESPACES, states
from support.owned_task import running
from support.virtual_time import VirtualTimeLoop

from fabric.control.netloop import NetLoop
from fabric.errors import KernelRefused
from fabric.kernel.fake import FakeHost, FakeKernel
from fabric.netstate.objects import NetState, Sysctl
from fabric.netstate.plan import diff
from fabric.netstate.port import MEDIA, Owner

picks = st.integers(0, 99)
PARTS = ("node", "peer:node-2", "policy:default/web")
actions = st.lists(
    st.one_of(
        st.tuples(st.just("want"), st.tuples(st.sampled_from(PARTS), states)),
        st.tuples(st.just("stranger deletes"), picks),
        st.tuples(st.just("stranger adds"), states),
        st.tuples(st.just("refuse"), picks),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.2, 6.0])),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None, report_multiple_bugs=False)
@given(actions, states, st.randoms(use_true_random=False))
def test_it_converges_to_the_union_of_the_parts_that_were_wanted_last(history, last, random):
    kernel = FakeKernel(*NAMESPACES)
    host = kernel.host("node-1")
    owner = everything([last, *states_in(history)])
    parts = in_parts(last, random)

    async def play() -> None:
        loop = NetLoop(host, owner, resync_seconds=dict.fromkeys(MEDIA, 5))
        async with running(loop.run()):
            for action, value in history:
                await act(loop, host, action, value)
            loop.want_all(parts)
            await asyncio.sleep(120)
            actual = await host.read(owner)
            assert not diff(last, actual)
            assert loop.is_converged
            assert loop.last_error == ""
            applied = len(host.plans)
            await asyncio.sleep(60)
            assert len(host.plans) == applied

    on_virtual_time(play())


async def act(loop: NetLoop, host: FakeHost, action: str, value: object) -> None:
    match action, value:
        case "want", (part, state):
            loop.want(part, state)
        case "stranger deletes", int() if host.state:
            found = sorted(host.state, key=str)
            with_refusals(host.tamper_delete, found[value % len(found)])
        case "stranger adds", frozenset():
            for step in diff(value, host.state).steps:
                if step.verb == "add":
                    with_refusals(host.tamper_add, step.obj)
        case "refuse", int():
            steps = iter(range(value % 5))
            host.refuse_next(lambda step: next(steps, None) is None)
        case "wait", float():
            await asyncio.sleep(value)


def states_in(history):
    for _, value in history:
        match value:
            case frozenset() | (_, frozenset()):
                yield value if isinstance(value, frozenset) else value[1]


def in_parts(state: NetState, random) -> dict[str, NetState]:
    """Each object in one of the parts, or in several."""
    wanted: dict[str, set] = {}
    for obj in sorted(state, key=str):
        for part in random.sample(PARTS, random.randint(1, len(PARTS))):
            wanted.setdefault(part, set()).add(obj)
    return {part: frozenset(objects) for part, objects in wanted.items()}


def with_refusals(tamper, obj) -> None:
    """A stranger does what Linux lets him do."""
    try:
        tamper(obj)
    except KernelRefused:
        return


def everything(wanted: list[NetState]) -> Owner:
    """An owner of all that any of the states has; what Linux adds by itself is nobody's."""
    objects = frozenset().union(*wanted)
    keys = {obj.key for obj in objects}
    sysctls = frozenset(obj.path for obj in objects if isinstance(obj, Sysctl))
    return Owner("test", frozenset(map(type, objects)), lambda obj: obj.key in keys, sysctls)


def on_virtual_time(play) -> None:
    loop = VirtualTimeLoop()
    try:
        loop.run_until_complete(play)
    finally:
        loop.close()
