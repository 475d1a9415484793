import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_interface, ip_network
from pathlib import Path

import pytest
from support.kernel_cases import LAN, LAN4, NODE, PORT, ROUND_TRIPS, VTEP, route
from support.kernel_contract import ALL_KINDS, left_to_do, owner_of, put
from support.namespaces import hold_namespace, namespaces, release_namespace, run_inside

from fabric.errors import FabricError, KernelRefused
from fabric.kernel import programs
from fabric.kernel.attach import attach
from fabric.kernel.linux import LinuxKernel
from fabric.netstate.objects import Address, Bridge, Chain, IpSet, Jump, LinkUp, Route, Sysctl, Veth
from fabric.netstate.plan import diff
from fabric.netstate.port import Owner

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]


@pytest.fixture
def pids() -> Iterator[dict[str, int]]:
    with namespaces("node-1", "node-2", "pod:1") as held:
        yield held


@pytest.fixture
async def kernel(pids: dict[str, int]) -> AsyncIterator[LinuxKernel]:
    kernel = LinuxKernel(pids)
    yield kernel
    kernel.close()


def host_state() -> tuple[str, ...]:
    """Return what the machine's own namespace says of itself."""
    commands = (
        ("ip", "-d", "-o", "link"),
        ("ip", "address"),
        ("ip", "route", "show", "table", "all"),
        ("iptables-legacy-save",),
        ("iptables-nft-save",),
        ("ipset", "save"),
        ("ip", "netns"),
    )
    said = [subprocess.run(argv, capture_output=True, text=True, check=False).stdout for argv in commands]
    lines = [line for text in said for line in text.splitlines() if not line.startswith(("#", ":"))]
    locks = [str(path.stat().st_mtime_ns) for path in Path("/run").glob("xtables.lock")]
    mounts = Path("/proc/self/mounts").read_text()
    return (*(line for line in lines if "valid_lft" not in line), mounts, *locks)


async def test_the_hosts_own_namespace_stays_as_it_was(pids: dict[str, int], kernel: LinuxKernel):
    before = host_state()
    host = kernel.host("node-1")
    await put(host, *NODE, *ROUND_TRIPS["chain-rules"][0], *ROUND_TRIPS["chain-rules"][1])
    await put(host, Veth("veth1", "eth0", "pod:1"), Sysctl("net/ipv4/ip_forward", "1"))
    await host.read(Owner("all", ALL_KINDS, lambda obj: True))
    assert host_state() == before
    for pid in list(pids.values()):
        release_namespace(pid)
    pids.clear()
    assert host_state() == before


async def test_a_namespace_that_came_again_numbers_the_others_anew(pids: dict[str, int], kernel: LinuxKernel):
    """A node that was off and on may know its neighbours by each other's numbers of before."""
    far = ("node-2", "pod:1")
    for turn, order in enumerate((far, far[::-1])):
        host = kernel.host("node-1")
        for name in order:
            await put(host, Veth(f"to-{name[:3]}", f"eth{turn}", name))
        found = await host.read(Owner("all", frozenset({Veth}), lambda obj: True))
        assert {(it.name, it.peer_ns) for it in found} == {(f"to-{name[:3]}", name) for name in far}
        release_namespace(pids["node-1"])
        pids["node-1"] = hold_namespace()


async def test_what_stands_there_reads_like_a_real_node(pids: dict[str, int], kernel: LinuxKernel):
    host = kernel.host("node-1")
    await put(
        host, *NODE, *ROUND_TRIPS["fdb"][1], *ROUND_TRIPS["neighbor"][1], *ROUND_TRIPS["route-onlink"][1]
    )
    said = run_inside(pids["node-1"], "ip", "-d", "link", "show", "flannel.1")
    assert "vxlan id 1 local 192.168.0.11 dev br0" in said and "dstport 8472 nolearning" in said
    fdb = run_inside(pids["node-1"], "bridge", "fdb", "show", "dev", "flannel.1")
    assert f"{VTEP} dst 192.168.0.12 self permanent" in fdb
    assert "192.168.0.11/24 brd 192.168.0.255 scope global" in run_inside(pids["node-1"], "ip", "a")
    assert run_inside(pids["node-1"], "ip", "neigh").startswith(
        f"10.244.2.0 dev flannel.1 lladdr {VTEP} PERMANENT"
    )
    assert "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink" in run_inside(pids["node-1"], "ip", "route")


async def test_what_a_stranger_made_is_read_and_what_he_took_is_missed(
    pids: dict[str, int], kernel: LinuxKernel
):
    host = kernel.host("node-1")
    mine = await put(host, *LAN, route("10.9.0.0/16", "192.168.0.12", "br0"))
    run_inside(pids["node-1"], "ip", "route", "del", "10.9.0.0/16")
    assert await left_to_do(host, mine) == "add route 10.9.0.0/16 via 192.168.0.12 dev br0\n"
    run_inside(pids["node-1"], "ip", "route", "add", "10.9.0.0/16", "via", "192.168.0.13")
    assert await left_to_do(host, mine) == "replace route 10.9.0.0/16 via 192.168.0.12 dev br0\n"
    await host.apply(diff(mine, await host.read(owner_of(mine))))
    assert await left_to_do(host, mine) == ""


async def test_a_dynamic_neighbour_gives_way_to_a_permanent_one(pids: dict[str, int], kernel: LinuxKernel):
    host = kernel.host("node-1")
    await put(host, *NODE)
    run_inside(pids["node-1"], *f"ip neigh add 10.244.2.0 lladdr {VTEP} dev flannel.1 nud reachable".split())
    (wanted,) = ROUND_TRIPS["neighbor"][1]
    await put(host, wanted)
    assert await left_to_do(host, frozenset({wanted})) == ""


async def test_a_name_with_a_new_process_behind_it_is_a_new_namespace(
    pids: dict[str, int], kernel: LinuxKernel
):
    host = kernel.host("node-1")
    await put(host, *LAN)
    old = pids["node-1"]
    pids["node-1"] = hold_namespace()
    release_namespace(old)
    assert await host.read(owner_of(LAN)) == frozenset()
    await put(host, *LAN)
    assert await left_to_do(host, LAN) == ""


async def test_a_namespace_whose_process_died_refuses_and_says_so(pids: dict[str, int], kernel: LinuxKernel):
    release_namespace(pids.pop("pod:1"))
    with pytest.raises(KernelRefused, match=r"pod:1: read: .* \(ESRCH\)"):
        await kernel.host("pod:1").read(owner_of(LAN))
    pids["pod:1"] = 2**22 + 1
    try:
        with pytest.raises(KernelRefused, match="pod:1: read: "):
            await kernel.host("pod:1").read(owner_of(frozenset({Chain.parse("filter", "A")})))
    finally:
        del pids["pod:1"]


async def test_many_readers_and_writers_of_one_host_do_not_disturb_each_other(kernel: LinuxKernel):
    host = kernel.host("node-1")
    await put(host, PORT, LAN4)
    routes = [route(f"10.{n}.0.0/16", "192.168.0.12", "br0") for n in range(40)]
    await asyncio.gather(*(put(host, it) for it in routes), *(host.read(owner_of(LAN)) for _ in range(10)))
    assert await left_to_do(host, frozenset(routes)) == ""


async def test_a_thousand_routes_go_and_come(kernel: LinuxKernel):
    host = kernel.host("node-1")
    routes = frozenset(route(f"10.{n // 250}.{n % 250}.0/24", "192.168.0.12", "br0") for n in range(1000))
    await put(host, PORT, LAN4, *routes)
    assert await left_to_do(host, routes) == ""
    await host.apply(diff(frozenset(), routes))
    assert await host.read(owner_of(routes)) == frozenset()


async def test_sixty_pods_are_wired_and_their_node_is_read_at_once():
    names = [f"pod:{n}" for n in range(60)]
    with namespaces("node-1", *names) as pids:
        kernel = LinuxKernel(pids)
        try:
            await put(
                kernel.host("node-1"), Bridge("cni0", 1450), Sysctl("net/ipv6/conf/all/disable_ipv6", "1")
            )
            for n, name in enumerate(names):
                await attach(kernel, "node-1", name, *_attachment(n, name))
            veths = Owner("veths", frozenset((Veth,)), lambda obj: True)
            found = await kernel.host("node-1").read(veths)
            assert {obj.peer_ns for obj in found if isinstance(obj, Veth)} == set(names)
        finally:
            kernel.close()


def _attachment(n: int, name: str) -> tuple[frozenset[Veth], frozenset[LinkUp | Address | Route]]:
    pod = (
        LinkUp("eth0"),
        Address(ip_interface(f"10.244.1.{n + 2}/24"), "eth0"),
        Route(ip_network("0.0.0.0/0"), ip_interface("10.244.1.1").ip, "eth0"),
    )
    return frozenset({Veth(f"veth{n}", "eth0", name, 1450, master="cni0", hairpin=True)}), frozenset(pod)


async def test_no_socket_of_a_pod_stays_open(kernel: LinuxKernel):
    await put(kernel.host("node-1"), Veth("veth1", "eth0", "pod:1"))
    await kernel.host("pod:1").read(owner_of(LAN))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await kernel.host("pod:1").read(owner_of(LAN))
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_rewrite_of_a_set_that_was_cut_off_is_cleaned_up(pids: dict[str, int], kernel: LinuxKernel):
    host = kernel.host("node-1")
    old, new = IpSet("s"), IpSet("s", members=frozenset({"10.0.0.0/8"}))
    await put(host, old)
    run_inside(pids["node-1"], "ipset", "create", "fabric-spare", "hash:ip")
    await host.apply(diff(frozenset({new}), frozenset({old})))
    assert await left_to_do(host, frozenset({new})) == ""
    assert "fabric-spare" not in run_inside(pids["node-1"], "ipset", "save")


async def test_a_jump_that_stands_there_twice_is_put_right(pids: dict[str, int], kernel: LinuxKernel):
    host = kernel.host("node-1")
    tables = f"iptables-{programs.detect_flavour(pids['node-1'])}"
    jump = Jump.parse("filter", "FORWARD", "-j ACCEPT")
    for _ in range(3):
        run_inside(pids["node-1"], tables, "-A", "FORWARD", "-j", "ACCEPT")
    await put(host, jump)
    assert run_inside(pids["node-1"], tables, "-S", "FORWARD").count("-j ACCEPT") == 1


def test_an_unknown_flavour_is_named(pids: dict[str, int], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FABRIC_IPTABLES", "ebpf")
    with pytest.raises(FabricError, match="FABRIC_IPTABLES=ebpf: allowed are nft and legacy"):
        programs.detect_flavour(pids["node-1"])


def test_the_flavour_is_what_iptables_is_on_this_machine(
    pids: dict[str, int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("FABRIC_IPTABLES", raising=False)
    version = run_inside(pids["node-1"], "iptables", "-V")
    assert programs.detect_flavour(pids["node-1"]) == ("nft" if "nf_tables" in version else "legacy")
    assert "FABRIC" not in run_inside(pids["node-1"], "iptables-save")


def test_a_tool_that_is_not_installed_is_named(pids: dict[str, int]):
    with pytest.raises(programs.ToolFailed, match="no-such-tool is not installed"):
        programs.run(pids["node-1"], ("no-such-tool",))


def test_hosts_of_namespaces_that_are_gone_are_forgotten():
    pids = {"node-1": os.getpid()}
    kernel = LinuxKernel(pids)
    kept = kernel.host("node-1")
    for n in range(500):
        kernel.host(f"pod:{n}")
    assert kernel.host("node-1") is kept
    assert len(kernel._hosts) < 100
    kernel.close()
