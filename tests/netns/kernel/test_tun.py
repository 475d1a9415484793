"""TUN devices on Linux: routes over one stay, whoever carries it or not; what is not ours is not read."""

import fcntl
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from support.calico_cases import BLOCK_ADDRESS, CARRIED
from support.case_contract import left_to_do, put
from support.eventually import eventually
from support.kernel_cases import LAN, route
from support.namespaces import held_by_threads, run_inside

from fabric.errors import KernelRefused
from fabric.kernel.linux import LinuxKernel
from fabric.kernel.namespaces import inside
from fabric.netstate.objects import NetState, Tun
from fabric.netstate.plan import Plan, Step
from fabric.netstate.port import Owner

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]
REMOTE = route("10.244.2.0/26", "192.168.0.12", "tunl0", onlink=True, proto=80)
NODE: NetState = LAN | {CARRIED, BLOCK_ADDRESS, REMOTE}
TUNS = Owner("tuns", frozenset((Tun,)), lambda obj: True)


@pytest.fixture
async def kernel() -> AsyncIterator[LinuxKernel]:
    with held_by_threads("node-1") as pids:
        kernel = LinuxKernel(pids)
        yield kernel
        kernel.close()


@contextmanager
def carrier(kernel: LinuxKernel, name: str = "tunl0", flags: int = 0x1001) -> Iterator[int]:
    """A descriptor that carries the device's packets, as a program's would."""
    with inside(kernel.pids["node-1"]):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", name.encode(), flags))
        yield fd
    finally:
        os.close(fd)


async def test_routes_stay_the_same_while_a_carrier_comes_and_goes(kernel):
    host = kernel.host("node-1")
    await put(host, *NODE)

    def is_dead() -> bool:
        return "linkdown" in run_inside(kernel.pids["node-1"], "ip", "route", "show", "10.244.2.0/26")

    for _ in range(2):
        await eventually(is_dead)
        assert await left_to_do(host, NODE) == ""
        with carrier(kernel):
            await eventually(lambda: not is_dead())
            assert await left_to_do(host, NODE) == ""


def ipv4(packet: bytes) -> bytes:
    return packet if packet[0] >> 4 == 4 else b""


async def test_a_packet_for_the_route_comes_out_at_the_carrier(kernel):
    await put(kernel.host("node-1"), *NODE)
    with carrier(kernel) as fd:
        with inside(kernel.pids["node-1"]):
            sender = socket.socket(type=socket.SOCK_DGRAM)

        def sent_and_carried() -> bytes:
            """Before Linux has noticed the carrier, a packet is lost."""
            sender.sendto(b"hello", ("10.244.2.7", 5000))
            return ipv4(os.read(fd, 2000))

        with sender:
            packet = await eventually(sent_and_carried)
    assert packet[16:20] == bytes((10, 244, 2, 7)) and packet.endswith(b"hello")


async def test_a_device_is_changed_and_deleted_under_its_carrier(kernel):
    host = kernel.host("node-1")
    await put(host, CARRIED)
    with carrier(kernel):
        smaller = Tun("tunl0", 1400)
        await host.apply(Plan((Step("replace", smaller, CARRIED),)))
        assert await host.read(TUNS) == {smaller}
        await host.apply(Plan((Step("delete", smaller),)))
        assert await host.read(TUNS) == frozenset()


async def test_a_device_that_ends_with_its_program_or_takes_frames_is_none_of_ours(kernel):
    host = kernel.host("node-1")
    run_inside(kernel.pids["node-1"], "ip", "tuntap", "add", "tap0", "mode", "tap")
    with carrier(kernel, "flannel0"):
        assert await host.read(TUNS) == frozenset()
        with pytest.raises(KernelRefused, match=r"add link flannel0 type tun .*\(EEXIST\)"):
            await put(host, Tun("flannel0"))
