"""What the kernel port promises of IPIP, for the fake and for a kernel that has the driver.

A test class inherits `IpipContract` and gives the fixture `kernel`, as with `KernelContract`.
"""

from __future__ import annotations

from dataclasses import replace

from fabric.netstate.objects import Ipip, NetState
from fabric.netstate.plan import Plan, Step, diff
from fabric.netstate.port import Kernel, Owner
from support.calico_cases import (
    BLOCK_ADDRESS,
    IPIP_CHANGES,
    IPIP_REFUSALS,
    IPIP_ROUND_TRIPS,
    TUNL0,
)
from support.case_contract import NOTHING, CaseContract, left_to_do, owner_of, put
from support.kernel_cases import LAN, route

NODE: NetState = LAN | {
    TUNL0,
    BLOCK_ADDRESS,
    route("10.244.2.0/26", "192.168.0.12", "tunl0", onlink=True, proto=80),
}


class IpipContract(CaseContract):
    round_trips = IPIP_ROUND_TRIPS
    refusals = IPIP_REFUSALS
    changes = IPIP_CHANGES

    async def test_an_ipip_that_nobody_raised_is_not_read(self, kernel: Kernel):
        everything = Owner("all", frozenset((Ipip,)), lambda obj: True)
        assert await kernel.host("node-1").read(everything) == NOTHING

    async def test_one_with_another_mtu_is_taken_over(self, kernel: Kernel):
        host = kernel.host("node-1")
        await put(host, Ipip(mtu=1400))
        await put(host, TUNL0)
        assert await left_to_do(host, frozenset({TUNL0})) == ""

    async def test_one_that_a_stranger_lowered_is_raised_with_its_routes(self, kernel: Kernel):
        host = kernel.host("node-1")
        await put(host, *NODE)
        await host.apply(Plan((Step("replace", replace(TUNL0, up=False), TUNL0),)))
        missing = await left_to_do(host, NODE)
        assert missing.startswith(f"add {TUNL0}\nadd route 10.244.2.0/26 ")
        await host.apply(diff(NODE, await host.read(owner_of(NODE))))
        assert await left_to_do(host, NODE) == ""

    async def test_deleting_it_takes_its_addresses_and_routes_along(self, kernel: Kernel):
        host = kernel.host("node-1")
        await put(host, *NODE)
        await host.apply(Plan((Step("delete", TUNL0),)))
        assert (await host.read(owner_of(NODE - LAN)), await left_to_do(host, LAN)) == (NOTHING, "")
        await put(host, TUNL0)
        assert await host.read(owner_of(NODE - LAN)) == {TUNL0}
