"""netem on a wire: what a topology says of a link's delay and loss holds for its packets."""

import time
from collections.abc import AsyncIterator
from ipaddress import ip_interface

import pytest
from support.case_contract import put
from support.datagrams import bound
from support.namespaces import held_by_threads

from fabric.kernel.linux import LinuxKernel
from fabric.netstate.objects import Address, LinkUp, Qdisc, Veth

pytestmark = pytest.mark.uml
NEAR, FAR = "192.168.0.11", "192.168.0.12"
PACKETS = 400


@pytest.fixture
async def kernel() -> AsyncIterator[LinuxKernel]:
    with held_by_threads("node-1", "node-2") as pids:
        kernel = LinuxKernel(pids)
        await put(
            kernel.host("node-1"), Veth("eth0", "eth0", "node-2"), Address(ip_interface(f"{NEAR}/24"), "eth0")
        )
        await put(kernel.host("node-2"), LinkUp("eth0"), Address(ip_interface(f"{FAR}/24"), "eth0"))
        yield kernel
        kernel.close()


def round_trip_seconds(kernel: LinuxKernel) -> float:
    """Return the least of some round trips, the first of which waits for ARP."""
    taken: list[float] = []
    with bound(kernel.pids["node-1"], NEAR) as one, bound(kernel.pids["node-2"], FAR) as two:
        for _ in range(4):
            started = time.monotonic()
            one.sendto(b"there", (FAR, 5000))
            two.sendto(two.recv(100), (NEAR, 5000))
            one.recv(100)
            taken.append(time.monotonic() - started)
    return min(taken)


async def test_a_delay_at_both_ends_is_in_every_round_trip(kernel: LinuxKernel):
    without = round_trip_seconds(kernel)
    await put(kernel.host("node-1"), Qdisc("eth0", "netem", delay_us=30_000))
    await put(kernel.host("node-2"), Qdisc("eth0", "netem", delay_us=20_000))
    delayed = round_trip_seconds(kernel)
    assert delayed >= 0.050 and delayed - without < 0.150


async def test_a_share_of_the_packets_is_lost(kernel: LinuxKernel):
    round_trip_seconds(kernel)
    await put(kernel.host("node-1"), Qdisc("eth0", "netem", loss_ppm=250_000))
    with bound(kernel.pids["node-1"], NEAR) as one, bound(kernel.pids["node-2"], FAR) as two:
        for _ in range(PACKETS):
            one.sendto(b"hello", (FAR, 5000))
        two.setblocking(False)
        arrived = 0
        while True:
            try:
                two.recv(100)
            except BlockingIOError:
                break
            arrived += 1
    assert 0.6 * PACKETS < arrived < 0.9 * PACKETS
