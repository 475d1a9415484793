"""What the kernel port promises, as tests that the fake and Linux both pass.

A test class inherits `KernelContract` and gives the fixture `kernel`, whose namespaces `node-1`, `node-2` and
`pod:1` are empty.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest

from fabric.errors import KernelRefused
from fabric.kernel.attach import attach
from fabric.netstate.objects import (
    Address,
    Bridge,
    Chain,
    FdbEntry,
    IpSet,
    Jump,
    LinkUp,
    Neighbor,
    NetObject,
    NetState,
    Qdisc,
    Route,
    Sysctl,
    Veth,
    Vxlan,
)
from fabric.netstate.plan import Plan, Step, diff
from fabric.netstate.port import Host, Kernel, Owner
from support.kernel_cases import (
    LAN,
    LAN4,
    LAN6,
    NODE,
    PORT,
    REFUSALS,
    ROUND_TRIPS,
    TUNNEL,
    VTEP,
    Refusal,
    route,
)

ALL_KINDS: frozenset[type] = frozenset(
    (Bridge, Veth, Vxlan, LinkUp, Address, Route, Neighbor, FdbEntry, Qdisc, Sysctl, IpSet, Chain, Jump)
)
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


class KernelContract:
    @pytest.mark.parametrize("name", ROUND_TRIPS)
    async def test_what_was_applied_reads_back(self, kernel: Kernel, name: str):
        base, objects = ROUND_TRIPS[name]
        host = kernel.host("node-1")
        await put(host, *base)
        await put(host, *objects)
        assert await left_to_do(host, frozenset(objects)) == ""

    @pytest.mark.parametrize("name", ROUND_TRIPS)
    async def test_what_is_there_may_be_added_again(self, kernel: Kernel, name: str):
        base, objects = ROUND_TRIPS[name]
        host = kernel.host("node-1")
        await put(host, *base, *objects)
        await put(host, *base, *objects)
        assert await left_to_do(host, frozenset(objects)) == ""

    @pytest.mark.parametrize("name", ROUND_TRIPS)
    async def test_what_was_applied_can_be_deleted_twice(self, kernel: Kernel, name: str):
        base, objects = ROUND_TRIPS[name]
        host, owner = kernel.host("node-1"), owner_of(frozenset(objects))
        await put(host, *base, *objects)
        actual = await host.read(owner)
        for _ in range(2):
            await host.apply(diff(NOTHING, actual))
        assert {obj for obj in await host.read(owner) if not isinstance(obj, Sysctl)} == set()

    @pytest.mark.parametrize("name", REFUSALS)
    async def test_what_linux_refuses_is_refused(self, kernel: Kernel, name: str):
        case: Refusal = REFUSALS[name]
        host = kernel.host("node-1")
        await put(host, *case.base)
        with pytest.raises(KernelRefused) as refused:
            await host.apply(Plan((case.step,)))
        message = str(refused.value)
        assert message.startswith("node-1: ") and str(case.step).split("\n")[0] in message
        if case.errno:
            assert f"({errno.errorcode[case.errno]})" in message

    async def test_the_refused_step_is_named_with_its_namespace_and_errno(self, kernel: Kernel):
        with pytest.raises(KernelRefused, match=r"Network is unreachable \(ENETUNREACH\)") as refused:
            await put(kernel.host("node-1"), *LAN, route("10.9.0.0/16", "10.8.0.1", "br0"))
        assert str(refused.value).startswith("node-1: add route 10.9.0.0/16 via 10.8.0.1 dev br0: ")

    async def test_a_namespace_that_does_not_exist_refuses_everything(self, kernel: Kernel):
        host = kernel.host("node-9")
        with pytest.raises(KernelRefused, match="node-9"):
            await host.read(owner_of(LAN))
        with pytest.raises(KernelRefused, match="node-9"):
            await put(host, *LAN)

    async def test_an_empty_namespace_reads_as_nothing(self, kernel: Kernel):
        everything = Owner("all", ALL_KINDS, lambda obj: True)
        assert await kernel.host("node-1").read(everything) == NOTHING

    async def test_only_kinds_that_were_asked_for_are_returned(self, kernel: Kernel):
        await put(kernel.host("node-1"), *NODE, *ROUND_TRIPS["chain"][1])
        for kind in ALL_KINDS:
            owner = Owner("one", frozenset((kind,)), lambda obj: True)
            assert {type(obj) for obj in await kernel.host("node-1").read(owner)} <= {kind}

    async def test_a_pair_has_an_end_in_each_namespace(self, kernel: Kernel):
        near = Veth("veth1", "eth0", "pod:1", 1450, VTEP, "02:00:00:00:00:03")
        await put(kernel.host("node-1"), near)
        far = await kernel.host("pod:1").read(Owner("pod", frozenset((Veth, LinkUp)), lambda obj: True))
        assert far == {Veth("eth0", "veth1", "node-1", 1450, "02:00:00:00:00:03", VTEP, up=False)}

    async def test_deleting_one_end_deletes_the_other(self, kernel: Kernel):
        near = Veth("veth1", "eth0", "pod:1")
        await put(kernel.host("node-1"), near)
        await kernel.host("node-1").apply(Plan((Step("delete", near),)))
        assert await kernel.host("pod:1").read(owner_of(frozenset({Veth("eth0", "", "")}))) == NOTHING

    async def test_many_devices_go_in_one_plan(self, kernel: Kernel):
        host = kernel.host("node-1")
        pairs = [Veth(f"veth{n}", f"eth{n}", "node-2", master="br0") for n in range(20)]
        state = await put(host, PORT, *pairs)
        assert await left_to_do(host, state) == ""
        await host.apply(diff(NOTHING, state))
        assert await host.read(owner_of(state)) == NOTHING

    @pytest.mark.parametrize(
        "old, new",
        [
            (Bridge("br1"), Bridge("br1", 1400, VTEP, up=False)),
            (Veth("v", "eth0", "pod:1"), Veth("v", "eth0", "pod:1", 1400, VTEP, None, "br0", True)),
            (Veth("v", "eth0", "pod:1", master="br0"), Veth("v", "eth0", "pod:1", up=False)),
            (Veth("v", "eth0", "pod:1"), Veth("v", "eth1", "node-2")),
            (Veth("v", "eth0", "pod:1"), Veth("v", "eth0", "pod:1", peer_mac=VTEP)),
            (TUNNEL, replace(TUNNEL, mtu=1400, mac=VTEP)),
            (TUNNEL, replace(TUNNEL, vni=2, gbp=True, port=4789, learning=True)),
            (route("10.9.0.0/16", "192.168.0.12", "br0"), route("10.9.0.0/16", "192.168.0.13", "br0")),
            (route("10.9.0.0/16", "192.168.0.12", "br0"), route("10.9.0.0/16", type="blackhole")),
            (route("fd01::/64", "fd00::12", "br0"), route("fd01::/64", "fd00::13", "br0", proto=80)),
            (ROUND_TRIPS["route-multipath"][1][0], route("10.9.0.0/16", "192.168.0.12", "br0")),
            (ROUND_TRIPS["route-multipath-ipv6"][1][0], route("fd01::/64", "fd00::12", "br0")),
            (route("fd01::/64", "fd00::12", "br0"), ROUND_TRIPS["route-multipath-ipv6"][1][0]),
            (
                Neighbor(ip_address("192.168.0.9"), VTEP, "br0"),
                Neighbor(ip_address("192.168.0.9"), "02:00:00:00:00:09", "br0"),
            ),
            (Qdisc("br0", "tbf", 8_000_000, 16_000, 1000), Qdisc("br0", "tbf", 16_000_000, 32_000, 2000)),
            (Qdisc("br0", "tbf", 8_000_000, 16_000, 1000), Qdisc("br0", "htb", 16_000_000, 32_000)),
            (Qdisc("br0", "htb", 8_000_000, 16_000), Qdisc("br0", "htb", 16_000_000, 32_000)),
            (Sysctl("net/ipv4/ip_forward", "0"), Sysctl("net/ipv4/ip_forward", "1")),
            (IpSet("s"), IpSet("s", members=frozenset({"10.0.0.0/8"}))),
            (IpSet("s", members=frozenset({"10.0.0.0/8"})), IpSet("s")),
            (
                IpSet("s", members=frozenset(f"10.{n}.0.0/16" for n in range(9))),
                IpSet("s", members=frozenset(f"10.{n}.0.0/16" for n in range(1, 10))),
            ),
            (IpSet("s"), IpSet("s", "hash:ip", 6, frozenset({"fd00::1"}))),
            (Chain("filter", "A", ("-j DROP",)), Chain("filter", "A", ("-j ACCEPT", "-j DROP"))),
        ],
        ids=str,
    )
    async def test_a_change_is_carried_out(self, kernel: Kernel, old: NetObject, new: NetObject):
        host = kernel.host("node-1")
        await put(host, *LAN, old)
        await host.apply(diff(frozenset({new}), await host.read(owner_of(frozenset({old})))))
        assert await left_to_do(host, frozenset({new})) == ""

    async def test_an_fdb_entry_moves_to_another_end(self, kernel: Kernel):
        host = kernel.host("node-1")
        old = FdbEntry(VTEP, ip_address("192.168.0.12"), "flannel.1")
        new = FdbEntry(VTEP, ip_address("192.168.0.13"), "flannel.1")
        await put(host, *NODE, old)
        await host.apply(diff(frozenset({new}), frozenset({old})))
        assert await host.read(owner_of(frozenset({new}))) == {new}

    async def test_what_hangs_on_a_device_made_anew_is_put_again_by_the_same_plan(self, kernel: Kernel):
        host = kernel.host("node-1")
        peer = frozenset(
            {
                Address(ip_interface("10.244.1.0/32"), "flannel.1"),
                Neighbor(ip_address("10.244.2.0"), VTEP, "flannel.1"),
                FdbEntry(VTEP, ip_address("192.168.0.12"), "flannel.1"),
                route("10.244.2.0/24", "10.244.2.0", "flannel.1", onlink=True),
                Sysctl("net/ipv4/conf/flannel.1/rp_filter", "2"),
            }
        )
        await put(host, *NODE, *peer)
        desired = LAN | peer | {replace(TUNNEL, port=4789)}
        await host.apply(diff(desired, await host.read(owner_of(desired))))
        assert await left_to_do(host, desired) == ""

    async def test_routes_stay_when_their_devices_address_changes(self, kernel: Kernel):
        host = kernel.host("node-1")
        remote = route("10.244.2.0/24", "192.168.0.12", "br0")
        await put(host, PORT, LAN4, remote)
        desired = frozenset({PORT, Address(ip_interface("192.168.0.99/24"), "br0"), remote})
        await host.apply(diff(desired, await host.read(owner_of(desired, LAN))))
        assert await left_to_do(host, desired) == ""

    async def test_a_jump_is_there_once_however_often_it_is_added(self, kernel: Kernel):
        host = kernel.host("node-1")
        jump = Jump("filter", "FORWARD", "-j A", "insert")
        for _ in range(3):
            await put(host, Chain("filter", "A"), jump)
        await host.apply(Plan((Step("delete", jump),)))
        assert await host.read(owner_of(frozenset({jump}))) == NOTHING

    async def test_a_chain_and_the_chain_it_jumped_to_go_together(self, kernel: Kernel):
        host = kernel.host("node-1")
        state = await put(host, *ROUND_TRIPS["chain-rules"][0], *ROUND_TRIPS["chain-rules"][1])
        emptied = frozenset({Chain("filter", "cali-A")})
        await host.apply(diff(emptied, state))
        assert await host.read(owner_of(state)) == emptied

    async def test_a_refused_transaction_of_rules_leaves_all_as_it_was(self, kernel: Kernel):
        host = kernel.host("node-1")
        before = await put(host, Chain("filter", "A", ("-j DROP",)))
        after = frozenset({Chain("filter", "A", ("-j ACCEPT",)), Chain("filter", "B", ("-j NOWHERE",))})
        with pytest.raises(KernelRefused):
            await host.apply(diff(after, before))
        assert await host.read(owner_of(before, after)) == before

    async def test_a_pod_is_attached_and_attached_again(self, kernel: Kernel):
        node, pod = _attachment()
        await put(kernel.host("node-1"), Bridge("cni0"))
        for _ in range(2):
            await attach(kernel, "node-1", "pod:1", node, pod)
            assert await left_to_do(kernel.host("node-1"), node) == ""
            assert await left_to_do(kernel.host("pod:1"), pod) == ""

    async def test_a_half_attached_pod_is_completed(self, kernel: Kernel):
        node, pod = _attachment()
        await put(kernel.host("node-1"), Bridge("cni0"), Veth("veth1", "eth0", "pod:1", 1400))
        await attach(kernel, "node-1", "pod:1", node, pod)
        assert await left_to_do(kernel.host("node-1"), node) == ""
        assert await left_to_do(kernel.host("pod:1"), pod) == ""


def _attachment() -> tuple[NetState, NetState]:
    node = Veth("veth1", "eth0", "pod:1", 1450, master="cni0", hairpin=True)
    pod = (
        LinkUp("lo"),
        LinkUp("eth0"),
        Address(ip_interface("10.244.1.2/24"), "eth0"),
        route("0.0.0.0/0", "10.244.1.1", "eth0"),
    )
    return frozenset({node}), frozenset(pod)


__all__ = ["KernelContract", "LAN6", "left_to_do", "owner_of", "put"]
