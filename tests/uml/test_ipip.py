"""Calico's IPIP on the kernel's own driver: two nodes, a pod on each, and tunl0 between them."""

import errno
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network

import pytest
from support.capture import Capture
from support.case_contract import put
from support.datagrams import bound, payload, whole_only
from support.kernel_cases import route
from support.namespaces import held_by_threads

from fabric.kernel.linux import LinuxKernel
from fabric.netstate.objects import Address, Ipip, LinkUp, Route, Sysctl, Veth

pytestmark = pytest.mark.uml
POD_1, POD_2 = "10.244.1.2", "10.244.2.2"
TUNNEL_1 = "10.244.1.0"


@dataclass(frozen=True)
class Lab:
    pids: dict[str, int]

    def wire(self) -> Capture:
        """A capture of what leaves node-1."""
        return Capture({"node-1": self.pids["node-1"]})


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    with held_by_threads("node-1", "node-2", "pod:1", "pod:2") as pids:
        kernel = LinuxKernel(pids)
        underlay = Veth("eth0", "eth0", "node-2")
        await put(kernel.host("node-1"), underlay)
        for number in (1, 2):
            await _node(kernel, number)
            await _pod(kernel, number)
        yield Lab(pids)
        kernel.close()


async def _node(kernel: LinuxKernel, number: int) -> None:
    """What the topology, Felix and BIRD give to a node; ARP is answered for what a default route leads to."""
    other = 3 - number
    remote = route(f"10.244.{other}.0/26", f"192.168.0.1{other}", "tunl0", onlink=True, proto=12)
    pod = Veth(f"cali{number}", "eth0", f"pod:{number}", 1480, "ee:ee:ee:ee:ee:ee")
    await put(
        kernel.host(f"node-{number}"),
        LinkUp("lo"),
        LinkUp("eth0"),
        Address(ip_interface(f"192.168.0.1{number}/24"), "eth0"),
        route("0.0.0.0/0", "192.168.0.1", "eth0"),
        Ipip(),
        Address(ip_interface(f"10.244.{number}.0/32"), "tunl0"),
        remote,
        route(f"10.244.{number}.0/26", type="blackhole", proto=12),
        pod,
        Sysctl(f"net/ipv4/conf/{pod.name}/proxy_arp", "1"),
        Sysctl(f"net/ipv4/neigh/{pod.name}/proxy_delay", "0"),
        Route(ip_network(f"10.244.{number}.2/32"), dev=pod.name, scope="link", proto=80),
        Sysctl("net/ipv4/ip_forward", "1"),
    )


async def _pod(kernel: LinuxKernel, number: int) -> None:
    await put(
        kernel.host(f"pod:{number}"),
        LinkUp("eth0"),
        Address(ip_interface(f"10.244.{number}.2/32"), "eth0"),
        route("169.254.1.1/32", None, "eth0", scope="link"),
        route("0.0.0.0/0", "169.254.1.1", "eth0"),
    )


def test_a_packet_goes_from_pod_to_pod_and_back(lab: Lab):
    with bound(lab.pids["pod:1"], POD_1) as one, bound(lab.pids["pod:2"], POD_2) as two:
        one.sendto(b"there", (POD_2, 5000))
        assert two.recvfrom(2000) == (b"there", (POD_1, 5000))
        two.sendto(b"and back", (POD_1, 5000))
        assert one.recvfrom(2000) == (b"and back", (POD_2, 5000))


def test_on_the_wire_it_is_behind_a_second_header_with_its_own_ttl_and_df(lab: Lab):
    with bound(lab.pids["pod:1"], POD_1) as one, bound(lab.pids["pod:2"], POD_2) as two, lab.wire() as wire:
        whole_only(one)
        one.setsockopt(0, 2, 17)  # IP_TTL
        one.sendto(b"look for me", (POD_2, 5000))
        two.recv(2000)
        (packet,) = wire.frames().of(device="eth0", holding=b"look for me").packets
    outer, inner = packet["IP"], packet["IP"].payload["IP"]
    assert (outer.proto, outer.src, outer.dst) == (4, "192.168.0.11", "192.168.0.12")
    assert (inner.proto, inner.src, inner.dst) == (17, POD_1, POD_2)
    assert (outer.ttl, inner.ttl) == (16, 16)
    assert (outer.flags, inner.flags) == ("DF", "DF")


@pytest.mark.parametrize("place, address", [("pod:1", POD_1), ("node-1", TUNNEL_1)])
def test_a_full_packet_passes_whole_and_one_byte_more_is_refused_at_its_sender(lab: Lab, place, address):
    with bound(lab.pids[place], address) as one, bound(lab.pids["pod:2"], POD_2) as two:
        whole_only(one)
        one.sendto(payload(1480), (POD_2, 5000))
        assert two.recv(2000) == payload(1480)
        with pytest.raises(OSError) as refused:
            one.sendto(payload(1481), (POD_2, 5000))
    assert refused.value.errno == errno.EMSGSIZE


def test_a_large_packet_without_df_arrives_all_the_same(lab: Lab):
    with bound(lab.pids["pod:1"], POD_1) as one, bound(lab.pids["pod:2"], POD_2) as two:
        one.setsockopt(0, 10, 0)  # IP_MTU_DISCOVER: never
        one.sendto(payload(4000), (POD_2, 5000))
        assert two.recv(8000) == payload(4000)
