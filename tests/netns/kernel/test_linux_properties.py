import asyncio
import os

import pytest
from hypothesis import HealthCheck, given, settings
from support.kernel_contract import left_to_do, owner_of
from support.namespaces import held_by_threads
from support.netstates import NAMESPACES, states

from fabric.kernel.linux import LinuxKernel
from fabric.netstate.objects import NetState, Setting
from fabric.netstate.plan import diff

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(states, states)
def test_linux_takes_what_the_fake_takes_and_one_plan_leads_from_any_state_to_any_other(desired, actual):
    with held_by_threads(*NAMESPACES) as pids:
        asyncio.run(_go(LinuxKernel(pids), desired, actual))


async def _go(kernel: LinuxKernel, desired: NetState, actual: NetState) -> None:
    host = kernel.host("node-1")
    try:
        await host.apply(diff(actual, frozenset()))
        assert await left_to_do(host, actual) == ""
        await host.apply(diff(desired, await host.read(owner_of(desired, actual))))
        assert await left_to_do(host, desired) == ""
        await host.apply(diff(frozenset(), await host.read(owner_of(desired, actual))))
        left = await host.read(owner_of(desired, actual))
        assert {obj for obj in left if not isinstance(obj, Setting)} == set()
    finally:
        kernel.close()
