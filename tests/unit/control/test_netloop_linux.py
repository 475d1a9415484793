"""The net loop on the strict fake kernel: what Linux takes along, refuses, or keeps in another place."""

import asyncio
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from support.owned_task import running

from fabric.control.netloop import STEP_LENGTH_MAX, NetLoop
from fabric.kernel.fake import FakeKernel
from fabric.netstate.objects import (
    Address,
    Bridge,
    Chain,
    FdbEntry,
    IpSet,
    Jump,
    LinkMac,
    LinkMtu,
    LinkUp,
    Neighbor,
    Route,
    Sysctl,
    Tun,
    Veth,
    Vxlan,
)
from fabric.netstate.port import Owner

MAC = "0e:00:00:00:00:01"
PEER_MAC = "0e:00:00:00:00:02"
TUNNEL = Vxlan("flannel.1", 1, "eth0", ip_address("192.168.0.11"), mac=MAC, mtu=1450)
HOST_ADDRESS = Address(ip_interface("10.244.1.0/32"), "flannel.1")
PEER = (
    Neighbor(ip_address("10.244.2.0"), PEER_MAC, "flannel.1"),
    FdbEntry(PEER_MAC, ip_address("192.168.0.12"), "flannel.1"),
    Route(ip_network("10.244.2.0/24"), via=ip_address("10.244.2.0"), dev="flannel.1", onlink=True),
)
KINDS = frozenset({Vxlan, Address, Neighbor, FdbEntry, Route, Sysctl, Chain, Jump, IpSet, Tun})
OWNER = Owner("flannel", KINDS, lambda obj: "eth0" not in str(obj) or isinstance(obj, Vxlan))


@pytest.fixture
async def host():
    kernel = FakeKernel("node-1", "switch")
    host = kernel.host("node-1")
    host.tamper_add(Veth("eth0", "port1", "switch"))
    host.tamper_add(LinkUp("lo"))
    host.tamper_add(Address(ip_interface("192.168.0.11/24"), "eth0"))
    return host


@pytest.fixture
async def loop(host):
    loop = NetLoop(host, OWNER)
    loop.want("node", {TUNNEL, HOST_ADDRESS})
    loop.want("peer:node-2", PEER)
    async with running(loop.run()):
        await asyncio.sleep(1)
        assert loop.is_converged
        yield loop


def is_whole(host, *objects):
    return {*objects} <= host.state


@pytest.mark.parametrize("change", [{"port": 4789}, {"local": ip_address("192.168.0.99")}, {"vni": 2}])
async def test_what_a_device_made_anew_takes_along_is_put_again_at_once(host, loop, change):
    changed = replace(TUNNEL, **change)
    loop.want("node", {changed, HOST_ADDRESS})
    await asyncio.sleep(0.001)
    assert loop.is_converged
    assert is_whole(host, changed, HOST_ADDRESS, *PEER)


async def test_a_change_of_one_part_is_one_step_and_no_reading(host, loop):
    reads = host.reads
    moved = FdbEntry(PEER_MAC, ip_address("192.168.0.13"), "flannel.1")
    loop.want("peer:node-2", (PEER[0], moved, PEER[2]))
    await asyncio.sleep(0.001)
    assert str(host.plans[-1]) == f"replace fdb {PEER_MAC} dst 192.168.0.13 dev flannel.1\n"
    assert loop.last_plan == host.plans[-1]
    loop.want("peer:node-2", ())
    await asyncio.sleep(0.001)
    assert len(host.plans[-1].steps) == 3
    assert host.reads == reads


async def test_a_part_converges_by_its_own_objects_whatever_is_refused_of_others(host, loop):
    await loop.until_converged("a part that wants nothing")
    other = Route(ip_network("10.99.0.0/24"), dev="missing", scope="link")
    loop.want("endpoint:uid-1", {other})
    waiting = asyncio.create_task(loop.until_converged("endpoint:uid-1"))
    await asyncio.sleep(0.001)
    assert not waiting.done(), "Linux has no such device"
    await loop.until_converged("peer:node-2")
    loop.want("endpoint:uid-1", {replace(other, dev="flannel.1")})
    await waiting
    assert replace(other, dev="flannel.1") in host.state


async def test_the_last_change_is_told_in_a_line_with_its_time(host, loop, caplog):
    loop.want("peer:node-2", ())
    with caplog.at_level("DEBUG"):
        await asyncio.sleep(0.001)
    when, _, steps = loop.last_change.partition(": ")
    datetime.fromisoformat(when)
    assert steps == "; ".join(str(loop.last_plan).splitlines())
    assert str(loop.last_plan) in caplog.text
    loop.want(
        "routes", {Route(ip_network(f"10.99.{n}.0/24"), dev="flannel.1", scope="link") for n in range(5)}
    )
    await asyncio.sleep(0.001)
    assert loop.last_change.count("add route") == 3 and loop.last_change.endswith("; and 2 more")


async def test_a_long_step_of_the_last_change_is_cut_with_a_mark(host, loop):
    name = "net/ipv4/conf/" + "x" * STEP_LENGTH_MAX
    loop.want("sysctl", {Sysctl(name, "1")})
    await asyncio.sleep(0.001)
    _, _, step = loop.last_change.partition(": ")
    assert len(step) == STEP_LENGTH_MAX and step.endswith("…")


async def test_waiting_for_a_loop_to_converge_ends_with_the_pass_that_does_it(host, loop):
    host.refuse_next(lambda step: True)
    loop.want("x", {Route(ip_network("10.99.0.0/24"), dev="flannel.1", scope="link")})
    assert not loop.is_converged
    async with asyncio.timeout(1):
        await loop.until_converged()
    assert loop.is_converged


async def test_what_two_parts_want_stays_until_the_last_lets_it_go(host, loop):
    shared = Route(ip_network("10.99.0.0/24"), dev="flannel.1", scope="link")
    for part in ("one", "two"):
        loop.want(part, {shared})
    await asyncio.sleep(0.001)
    loop.want("one", ())
    await asyncio.sleep(0.001)
    assert shared in host.state
    loop.want("two", ())
    await asyncio.sleep(0.001)
    assert shared not in host.state


async def test_two_objects_of_one_key_are_told_and_the_first_part_wins(host, loop):
    wide = Route(ip_network("10.99.0.0/24"), dev="flannel.1", scope="link")
    other = replace(wide, src=ip_address("10.244.1.0"))
    loop.want("b", {other})
    loop.want("a", {wide})
    await asyncio.sleep(0.001)
    assert loop.is_converged
    assert wide in host.state
    assert loop.last_error == f"a wants {wide}, and b wants {other}: the first is taken"
    loop.want("a", ())
    await asyncio.sleep(0.001)
    assert other in host.state
    assert loop.last_error == ""


async def test_two_objects_of_one_key_in_one_part_are_told_and_the_first_text_wins(host, loop):
    wide = Route(ip_network("10.99.0.0/24"), dev="flannel.1", scope="link")
    other = replace(wide, src=ip_address("10.244.1.0"))
    loop.want("a", {other, wide})
    await asyncio.sleep(0.001)
    assert min(wide, other, key=str) in host.state
    assert "the first is taken" in loop.last_error


async def test_a_hook_in_another_place_is_put_back(host, loop):
    chain, hook = Chain("filter", "FLANNEL-FWD"), Jump.parse("filter", "FORWARD", "-j FLANNEL-FWD", "insert")
    loop.want("rules", {chain, hook})
    await asyncio.sleep(0.001)
    host.tamper_add(
        Jump.parse("filter", "FORWARD", "-s 10.9.9.9/32 -j eth0-DROP".replace("eth0-", ""), "insert")
    )
    assert hook not in host.state
    await asyncio.sleep(100)
    assert hook in host.state


async def test_a_refused_value_leaves_the_old_device_at_work_and_is_told(host, loop):
    plans = len(host.plans)
    loop.want("node", {replace(TUNNEL, mtu=1500), HOST_ADDRESS})
    for _ in range(30):
        await asyncio.sleep(1)
        assert is_whole(host, TUNNEL, HOST_ADDRESS, *PEER)
        assert loop.is_programmed
        assert not loop.is_converged
        assert "mtu 1500" in loop.last_error
    for plan in host.plans[plans:]:
        assert {type(step.obj) for step in plan.steps} == {Vxlan}
    loop.want("peer:node-3", {Neighbor(ip_address("10.244.3.0"), PEER_MAC, "flannel.1")})
    await asyncio.sleep(0.01)
    assert is_whole(host, TUNNEL, Neighbor(ip_address("10.244.3.0"), PEER_MAC, "flannel.1"))
    host.tamper_delete(PEER[2])
    await asyncio.sleep(1)
    assert is_whole(host, *PEER)


@pytest.mark.parametrize("victim", [TUNNEL, HOST_ADDRESS, *PEER], ids=str)
async def test_what_the_kernel_tells_of_is_repaired_without_waiting(host, loop, victim):
    host.tamper_delete(victim)
    assert victim not in host.state
    await asyncio.sleep(0.5)
    assert is_whole(host, TUNNEL, HOST_ADDRESS, *PEER)


async def test_a_sysctl_that_the_kernel_tells_of_is_put_back_without_waiting(host):
    forwarding = Sysctl("net/ipv4/ip_forward", "1")
    owner = Owner("forwarding", frozenset({Sysctl}), lambda obj: True, frozenset({forwarding.path}))
    loop = NetLoop(host, owner)
    loop.want("node", {forwarding})
    async with running(loop.run()):
        await asyncio.sleep(1)
        host.tamper_add(Sysctl(forwarding.path, "0"))
        await asyncio.sleep(0.5)
        assert is_whole(host, forwarding)


async def test_a_device_of_somebody_elses_that_went_and_came_brings_the_routes_back(host):
    loop = NetLoop(host, Owner("host-gw", frozenset({Route}), lambda obj: True))
    route = Route(ip_network("10.244.2.0/24"), via=ip_address("192.168.0.12"), dev="eth0")
    loop.want("peer:node-2", {route})
    async with running(loop.run()):
        await asyncio.sleep(1)
        eth0 = next(obj for obj in host.state if isinstance(obj, Veth))
        host.tamper_add(replace(eth0, up=False))
        await asyncio.sleep(1)
        assert route not in host.state
        host.tamper_add(replace(eth0, up=True))
        await asyncio.sleep(0.1)
        assert route in host.state


async def test_a_node_at_rest_is_read_once_a_minute_or_less(host, loop):
    reads = host.reads
    await asyncio.sleep(600)
    assert host.reads - reads <= 10


async def test_a_bridge_that_nobody_wants_is_left_alone(host, loop):
    host.tamper_add(Bridge("docker0"))
    await asyncio.sleep(200)
    assert any(isinstance(obj, Bridge) for obj in host.state)


@pytest.fixture
async def uplink(host):
    """A loop over what a node's eth0 shall have, which a switch has made."""
    kinds = frozenset({LinkUp, LinkMtu, LinkMac, Address, Neighbor})
    loop = NetLoop(host, Owner("underlay", kinds, lambda obj: obj.dev == "eth0"))
    loop.want("underlay", UPLINK)
    async with running(loop.run()):
        await asyncio.sleep(1)
        assert loop.is_converged
        yield loop


UPLINK = (
    LinkUp("eth0"),
    LinkMtu("eth0", 1500),
    LinkMac("eth0", MAC),
    Address(ip_interface("192.168.0.11/24"), "eth0"),
    Neighbor(ip_address("192.168.0.1"), PEER_MAC, "eth0"),
)


@pytest.mark.parametrize("change", [LinkMtu("eth0", 1300), LinkMac("eth0", "02:00:00:00:00:09")])
async def test_a_device_of_anothers_gets_its_mtu_and_mac_back_at_once(host, uplink, change):
    wanted = next(obj for obj in UPLINK if obj.key == change.key)
    host.tamper_add(change)
    assert change in host.settings
    await asyncio.sleep(0.1)
    assert wanted in host.settings and uplink.is_converged
    assert str(uplink.last_plan).splitlines()[0] == f"replace {wanted}"
    assert UPLINK[-1] in host.state, "a new MAC takes the neighbours along"


async def test_what_linux_refuses_of_a_device_is_told_and_holds_up_nothing(host, uplink):
    uplink.want("underlay", {*UPLINK, LinkMtu("eth0", 70000)} - {UPLINK[1]})
    await asyncio.sleep(1)
    assert "replace link eth0 mtu 70000" in uplink.last_error
    host.tamper_delete(UPLINK[3])
    await asyncio.sleep(10)
    assert UPLINK[3] in host.state


async def test_a_setting_that_is_wanted_no_more_stays_and_is_nobodys(host, uplink):
    uplink.want("underlay", {*UPLINK} - {UPLINK[1]})
    await asyncio.sleep(0.1)
    assert uplink.is_converged and uplink.last_error == ""
    host.tamper_add(LinkMtu("eth0", 1300))
    await asyncio.sleep(200)
    assert LinkMtu("eth0", 1300) in host.settings and uplink.is_converged
