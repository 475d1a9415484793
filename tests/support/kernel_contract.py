"""What the kernel port promises, as tests that the fake and Linux both pass.

A test class inherits `KernelContract` and gives the fixture `kernel`, whose namespaces `node-1`, `node-2` and
`pod:1` are empty.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from typing import Any, ClassVar

import pytest

from fabric.errors import KernelRefused
from fabric.kernel.attach import attach
from fabric.netstate.objects import (
    Address,
    Bridge,
    Chain,
    FdbEntry,
    Ipip,
    IpSet,
    Jump,
    LinkUp,
    Neighbor,
    NetState,
    Qdisc,
    Route,
    Sysctl,
    Tun,
    Veth,
    Vxlan,
)
from fabric.netstate.plan import Plan, Step, diff
from fabric.netstate.port import Host, Kernel, Owner
from support.bridge_contract import BridgeContract
from support.calico_cases import CALICO_CHANGES, CALICO_REFUSALS, CALICO_ROUND_TRIPS
from support.case_contract import NOTHING, CaseContract, left_to_do, owner_of, put
from support.kernel_cases import (
    LAN,
    LAN4,
    LAN6,
    NODE,
    PORT,
    ROUND_TRIPS,
    TUNNEL,
    VTEP,
    route,
)
from support.kernel_changes import CHANGES
from support.kernel_refusals import REFUSALS

ALL_KINDS: frozenset[type] = frozenset(
    (
        *(Bridge, Veth, Vxlan, Ipip, Tun, LinkUp),
        *(Address, Route, Neighbor, FdbEntry, Qdisc, Sysctl, IpSet, Chain, Jump),
    )
)


async def left_to_do_of(host: Host, desired: NetState) -> str:
    """What a plan for these objects, and no others of their kinds, would do."""
    keys = {obj.key for obj in desired}
    found = await host.read(owner_of(desired))
    return str(diff(desired, frozenset(obj for obj in found if obj.key in keys)))


class KernelContract(CaseContract, BridgeContract, ABC):
    round_trips: ClassVar = {**ROUND_TRIPS, **CALICO_ROUND_TRIPS}
    refusals: ClassVar = {**REFUSALS, **CALICO_REFUSALS}
    changes = (*CHANGES, *CALICO_CHANGES)

    @abstractmethod
    def tamper(self, kernel: Kernel, name: str, rule: Jump) -> None:
        """Put a rule into a built-in chain as a stranger would, and nowhere else."""

    @abstractmethod
    def forwarded(self, kernel: Kernel, name: str) -> list[str]:
        """The rules of filter FORWARD in their order."""

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

    async def test_a_socket_leaves_from_the_namespace(self, kernel: Kernel):
        opened = await kernel.host("node-1").socket(socket.AF_INET, socket.SOCK_DGRAM)
        with opened:
            assert opened.type & socket.SOCK_DGRAM
            assert not opened.getblocking()
        with pytest.raises(KernelRefused, match=r"node-9: socket.*ESRCH"):
            await kernel.host("node-9").socket(socket.AF_INET, socket.SOCK_DGRAM)

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

    async def test_a_refused_value_leaves_the_device_and_what_hangs_on_it(self, kernel: Kernel):
        host = kernel.host("node-1")
        peer = Neighbor(ip_address("10.244.2.0"), VTEP, "flannel.1")
        remote = route("10.244.2.0/24", "10.244.2.0", "flannel.1", onlink=True)
        tunnel = replace(TUNNEL, mac="0e:00:00:00:00:01")
        await put(host, *LAN, tunnel, Address(ip_interface("10.244.1.0/32"), "flannel.1"), peer, remote)
        wanted = replace(tunnel, mtu=1500, mac="0e:00:00:00:00:01")
        there = await host.read(owner_of({tunnel}))
        with pytest.raises(KernelRefused, match=r"node-1: replace link flannel\.1 .*EINVAL"):
            await host.apply(diff(frozenset({wanted}), there))
        found = await host.read(owner_of({tunnel, peer, remote}))
        assert {tunnel, peer, remote} <= found

    async def test_a_refused_value_holds_up_no_other_of_its_device(self, kernel: Kernel):
        host = kernel.host("node-1")
        tunnel = replace(TUNNEL, mac="0e:00:00:00:00:01", up=False)
        await put(host, *LAN, tunnel)
        wanted = replace(tunnel, mtu=1500, mac="0e:00:00:00:00:02", up=True)
        with pytest.raises(KernelRefused):
            await host.apply(diff(frozenset({wanted}), frozenset({tunnel})))
        assert await host.read(owner_of({tunnel})) >= {replace(wanted, mtu=1450)}

    async def test_routes_stay_when_their_devices_address_changes(self, kernel: Kernel):
        host = kernel.host("node-1")
        remote = route("10.244.2.0/24", "192.168.0.12", "br0")
        await put(host, PORT, LAN4, remote)
        desired = frozenset({PORT, Address(ip_interface("192.168.0.99/24"), "br0"), remote})
        await host.apply(diff(desired, await host.read(owner_of(desired, LAN))))
        assert await left_to_do(host, desired) == ""

    async def test_a_jump_is_there_once_however_often_it_is_added(self, kernel: Kernel):
        host = kernel.host("node-1")
        jump = Jump.parse("filter", "FORWARD", "-j A", "insert")
        for _ in range(3):
            await put(host, Chain.parse("filter", "A"), jump)
        await host.apply(Plan((Step("delete", jump),)))
        assert await host.read(owner_of(frozenset({jump}))) == NOTHING

    async def test_a_hook_is_put_back_into_its_place(self, kernel: Kernel):
        host = kernel.host("node-1")
        top = Jump.parse("filter", "FORWARD", "-j A", "insert")
        end = Jump.parse("filter", "FORWARD", "-j B", "append")
        chains = (Chain.parse("filter", "A"), Chain.parse("filter", "B"))
        desired = await put(host, *chains, top, end)
        for stranger in (replace(top, position="append"), replace(end, position="insert")):
            self.tamper(kernel, "node-1", stranger)
            self.tamper(kernel, "node-1", Jump.parse("filter", "FORWARD", "-s 10.0.0.9/32 -j DROP", "insert"))
            self.tamper(kernel, "node-1", Jump.parse("filter", "FORWARD", "-s 10.0.0.8/32 -j DROP", "append"))
            found = await host.read(owner_of(desired))
            plan = diff(desired, frozenset(obj for obj in found if obj.key in {it.key for it in desired}))
            assert plan
            await host.apply(plan)
            assert await left_to_do_of(host, desired) == ""

    async def test_two_hooks_share_a_place(self, kernel: Kernel):
        host = kernel.host("node-1")
        hooks = [Jump.parse("filter", "FORWARD", f"-j {name}", "insert") for name in "AB"]
        desired = await put(host, Chain.parse("filter", "A"), Chain.parse("filter", "B"), *hooks)
        assert await left_to_do(host, desired) == ""

    @pytest.mark.parametrize("position", ["insert", "append"])
    async def test_hooks_at_one_place_keep_their_order(self, kernel: Kernel, position: Any):
        host = kernel.host("node-1")
        chains = [Chain.parse("filter", name) for name in "ABC"]
        hooks = [
            Jump.parse("filter", "FORWARD", f"-j {name}", position, order=order)
            for order, name in enumerate("CAB")
        ]
        desired = await put(host, *chains, *hooks)
        assert await left_to_do(host, desired) == ""
        assert self.forwarded(kernel, "node-1") == ["-j C", "-j A", "-j B"]
        for taken in hooks:
            await host.apply(Plan((Step("delete", taken),)))
            await host.apply(Plan((Step("add", taken),)))
            assert self.forwarded(kernel, "node-1") == ["-j C", "-j A", "-j B"]
        self.tamper(
            kernel, "node-1", replace(hooks[0], position="append" if position == "insert" else "insert")
        )
        self.tamper(kernel, "node-1", replace(hooks[2], position="insert"))
        found = await host.read(owner_of(desired))
        await host.apply(diff(desired, found))
        assert await left_to_do_of(host, desired) == ""
        assert self.forwarded(kernel, "node-1") == ["-j C", "-j A", "-j B"]

    async def test_a_chain_and_the_chain_it_jumped_to_go_together(self, kernel: Kernel):
        host = kernel.host("node-1")
        state = await put(host, *ROUND_TRIPS["chain-rules"][0], *ROUND_TRIPS["chain-rules"][1])
        emptied = frozenset({Chain.parse("filter", "cali-A")})
        await host.apply(diff(emptied, state))
        assert await host.read(owner_of(state)) == emptied

    async def test_a_refused_transaction_of_rules_leaves_all_as_it_was(self, kernel: Kernel):
        host = kernel.host("node-1")
        before = await put(host, Chain.parse("filter", "A", ("-j DROP",)))
        after = frozenset(
            {Chain.parse("filter", "A", ("-j ACCEPT",)), Chain.parse("filter", "B", ("-j NOWHERE",))}
        )
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

    async def test_plans_of_two_namespaces_are_carried_out_together(self, kernel: Kernel):
        node, pod = _attachment()
        bridge = frozenset({Bridge("cni0")})
        await kernel.apply({"node-1": diff(bridge | node, NOTHING), "pod:1": diff(pod, NOTHING)})
        assert await left_to_do(kernel.host("node-1"), bridge | node) == ""
        assert await left_to_do(kernel.host("pod:1"), pod) == ""

    async def test_a_refusal_in_one_namespace_ends_what_is_done_in_several(self, kernel: Kernel):
        _, pod = _attachment()
        lonely = frozenset({Address(ip_interface("10.0.0.1/24"), "missing")})
        with pytest.raises(KernelRefused, match=r"node-1: .*missing"):
            await kernel.apply({"node-1": diff(lonely, NOTHING), "pod:1": diff(pod, NOTHING)})
        assert await left_to_do(kernel.host("pod:1"), pod) == str(diff(pod, NOTHING))

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
