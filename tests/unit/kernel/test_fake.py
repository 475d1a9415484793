import sys
from ipaddress import ip_address

import pytest
from support.kernel_cases import LAN, NODE, ROUND_TRIPS, TUNNEL, VTEP, route
from support.kernel_contract import left_to_do, owner_of, put
from support.netstates import at_once

from fabric.bench.parts import KINDS, ROOT, part
from fabric.errors import KernelRefused
from fabric.kernel.attach import attach
from fabric.kernel.fake import FakeKernel
from fabric.netstate.objects import Bridge, Chain, FdbEntry, Jump, LinkUp, Neighbor, Veth
from fabric.netstate.plan import Plan, Step, diff

REMOTE = route("10.244.2.0/24", "192.168.0.12", "br0")


@pytest.fixture
def kernel() -> FakeKernel:
    return FakeKernel("node-1", "node-2", "pod:1")


async def test_a_stranger_takes_a_route_and_it_is_missed(kernel: FakeKernel):
    host = kernel.host("node-1")
    mine = await put(host, *LAN, REMOTE)
    host.tamper_delete(REMOTE)
    assert await left_to_do(host, mine) == f"add {REMOTE}\n"


async def test_a_stranger_bends_a_route_and_it_is_put_back(kernel: FakeKernel):
    host = kernel.host("node-1")
    mine = await put(host, *LAN, REMOTE)
    host.tamper_add(route("10.244.2.0/24", "192.168.0.13", "br0"))
    assert await left_to_do(host, mine) == f"replace {REMOTE}\n"


async def test_a_stranger_takes_a_device_and_what_hung_on_it_is_gone(kernel: FakeKernel):
    host = kernel.host("node-1")
    await put(host, *NODE, FdbEntry(VTEP, ip_address("192.168.0.12"), "flannel.1"))
    host.tamper_delete(TUNNEL)
    assert not [obj for obj in host.state if "flannel.1" in str(obj)]


async def test_a_stranger_is_held_to_linuxs_rules_too(kernel: FakeKernel):
    host = kernel.host("node-1")
    await put(host, Chain.parse("filter", "A"), Jump.parse("filter", "FORWARD", "-j A"))
    with pytest.raises(KernelRefused):
        host.tamper_delete(Chain.parse("filter", "A"))
    with pytest.raises(KernelRefused, match="ENODEV"):
        host.tamper_add(REMOTE)


async def test_the_next_chosen_step_is_refused_once_and_steps_before_it_stay(kernel: FakeKernel):
    host = kernel.host("node-1")
    await put(host, *LAN)
    host.refuse_next(lambda step: step.obj == REMOTE)
    neighbor = Neighbor(ip_address("192.168.0.12"), VTEP, "br0")
    with pytest.raises(KernelRefused, match=r"node-1: add route .* \(EBUSY\)"):
        await put(host, neighbor, REMOTE)
    assert neighbor in host.state and REMOTE not in host.state
    await put(host, neighbor, REMOTE)
    assert REMOTE in host.state


async def test_a_namespace_that_ends_takes_far_ends_with_it(kernel: FakeKernel):
    await put(kernel.host("node-1"), Veth("veth1", "eth0", "pod:1"))
    kernel.remove_namespace("pod:1")
    assert kernel.host("node-1").state == frozenset()
    assert kernel.host("pod:1").state == frozenset()


async def test_a_host_follows_its_name_to_a_new_namespace(kernel: FakeKernel):
    host = kernel.host("node-1")
    await put(host, *LAN)
    kernel.add_namespace("node-1")
    assert host.state == frozenset()
    await put(host, *LAN)


async def test_plans_and_reads_are_counted_and_empty_plans_are_not(kernel: FakeKernel):
    host = kernel.host("node-1")
    await host.apply(Plan())
    await put(host, *LAN)
    await host.read(owner_of(LAN))
    assert (len(host.plans), host.reads) == (1, 1)


async def test_a_fresh_pod_is_attached_without_a_read(kernel: FakeKernel):
    await put(kernel.host("node-1"), Bridge("cni0"))
    node = frozenset({Veth("veth1", "eth0", "pod:1", master="cni0")})
    await attach(kernel, "node-1", "pod:1", node, frozenset({LinkUp("eth0")}))
    assert kernel.host("node-1").reads == kernel.host("pod:1").reads == 0


async def test_an_attachment_that_linux_never_takes_is_refused(kernel: FakeKernel):
    node = frozenset({Veth("veth1", "eth0", "pod:1", master="cni0")})
    with pytest.raises(KernelRefused, match="ENODEV"):
        await attach(kernel, "node-1", "pod:1", node, frozenset())


async def test_a_tunnel_made_too_large_shrinks_as_on_linux(kernel: FakeKernel):
    host = kernel.host("node-1")
    large = Bridge("br0", 1400)
    await put(host, *(LAN - {Bridge("br0", 1500)}), large, TUNNEL)
    assert await left_to_do(host, frozenset({TUNNEL})) == f"replace {TUNNEL}\n"
    with pytest.raises(KernelRefused, match="EINVAL"):
        await host.apply(diff(frozenset({TUNNEL}), await host.read(owner_of(frozenset({TUNNEL})))))


async def test_rules_that_jump_in_a_circle_are_refused(kernel: FakeKernel):
    with pytest.raises(KernelRefused, match="ELOOP"):
        await put(
            kernel.host("node-1"),
            Chain.parse("filter", "A", ("-j B",)),
            Chain.parse("filter", "B", ("-j A",)),
        )


async def test_a_mac_left_open_is_chosen_and_stays(kernel: FakeKernel):
    host = kernel.host("node-1")
    await put(host, *ROUND_TRIPS["veth"][1])
    (before,) = [obj for obj in host.state if isinstance(obj, Veth)]
    await host.apply(Plan((Step("replace", Veth("veth1", "eth0", "pod:1", 1400), before),)))
    (after,) = [obj for obj in host.state if isinstance(obj, Veth)]
    assert before.mac == after.mac and before.mac


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_of_one_part_is_the_same_work_among_ten_parts_and_among_a_thousand(kind):
    few, many = (calls_of_a_change(kind, count) for count in (10, 1000))
    assert few == many


def calls_of_a_change(kind, count):
    """How many functions the fake calls to put another version of one part in the place of the first."""
    host = FakeKernel("node-1").host("node-1")
    parts = [part(kind, number, 0) for number in range(1, count + 1)]
    at_once(host.apply(diff(ROOT.union(*parts), frozenset())))
    plan = diff(part(kind, 5, 1), part(kind, 5, 0))
    calls = 0

    def count_call(frame, event, arg):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count_call)
    try:
        at_once(host.apply(plan))
    finally:
        sys.setprofile(None)
    assert plan
    return calls
