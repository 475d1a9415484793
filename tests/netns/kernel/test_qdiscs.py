"""Queues on real devices: `tc` prints what fabric says, and rates hold. netem is in the uml lane."""

import os
import socket
import threading
import time
from collections.abc import AsyncIterator
from ipaddress import ip_interface

import pytest
from support.kernel_contract import left_to_do, owner_of, put
from support.namespaces import held_by_threads, run_inside

from fabric.errors import KernelRefused
from fabric.kernel.features import probe
from fabric.kernel.linux import LinuxKernel
from fabric.kernel.namespaces import inside
from fabric.netstate.objects import Address, LinkUp, Qdisc, Veth
from fabric.netstate.plan import diff

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]
BYTES = 300_000
PAIR = Veth("veth1", "eth0", "node-2")
NETEM = Qdisc("veth1", "netem", 10**8, 0, 0, 20_000, 5_000, 12_345, 250_000)


@pytest.fixture
async def kernel() -> AsyncIterator[LinuxKernel]:
    with held_by_threads("node-1", "node-2") as pids:
        kernel = LinuxKernel(pids)
        yield kernel
        kernel.close()


def tc(kernel: LinuxKernel, what: str) -> str:
    return run_inside(kernel.pids["node-1"], "tc", what, "show", "dev", "veth1")


@pytest.mark.parametrize(
    "rate, burst, latency_us, words",
    [
        (100_000_000, 65536, 50_000, "rate 100Mbit burst 64Kb lat 50ms"),
        (64_000, 1600, 12_000, "rate 64Kbit burst 1600b lat 12ms"),
        (1_000_000_000, 1_000_000, 1_000, "rate 1Gbit burst 1000000b lat 1ms"),
    ],
)
async def test_tc_prints_a_tbf_as_its_plan_does(kernel, rate, burst, latency_us, words):
    tbf = Qdisc("veth1", "tbf", rate, burst, latency_us)
    await put(kernel.host("node-1"), PAIR, tbf)
    assert words in str(tbf)
    assert words in tc(kernel, "qdisc")


async def test_tc_prints_the_one_class_of_an_htb(kernel):
    await put(kernel.host("node-1"), PAIR, Qdisc("veth1", "htb", 20_000_000, 15_000))
    assert "default 0x1" in tc(kernel, "qdisc")
    assert "class htb 1:1 root" in (shown := tc(kernel, "class"))
    assert "rate 20Mbit ceil 20Mbit burst 15000b" in shown


async def test_a_queue_that_a_stranger_put_there_is_replaced(kernel):
    host = kernel.host("node-1")
    await put(host, PAIR)
    command = "tc qdisc add dev veth1 root tbf rate 1mbit burst 2k latency 10ms"
    run_inside(kernel.pids["node-1"], *command.split())
    desired = frozenset({Qdisc("veth1", "tbf", 2_000_000, 4096, 10_000)})
    await host.apply(diff(desired, await host.read(owner_of(desired))))
    assert await left_to_do(host, desired) == ""


async def test_a_kernel_without_netem_refuses_it_by_name(kernel):
    if probe(["netem"])["netem"].present:
        pytest.skip("this kernel has sch_netem")
    with pytest.raises(KernelRefused, match=r"qdisc netem root dev veth1 delay 20ms.*ENOENT"):
        await put(kernel.host("node-1"), PAIR, NETEM)


async def test_a_rate_holds_on_the_wire(kernel):
    near, far = (
        Address(ip_interface("192.168.0.11/24"), "veth1"),
        Address(ip_interface("192.168.0.12/24"), "eth0"),
    )
    await put(kernel.host("node-1"), PAIR, near, Qdisc("veth1", "tbf", 8_000_000, 10_000, 100_000))
    await put(kernel.host("node-2"), far, LinkUp("eth0"))
    with inside(kernel.pids["node-2"]):
        listener = socket.create_server(("192.168.0.12", 5000))
    with inside(kernel.pids["node-1"]):
        sender = socket.socket()
    with listener, sender:
        sender.settimeout(60)
        sender.connect(("192.168.0.12", 5000))
        started = time.monotonic()
        sending = threading.Thread(target=sender.sendall, args=(bytes(BYTES),))
        sending.start()
        receiver, _ = listener.accept()
        receiver.settimeout(60)
        with receiver:
            got = 0
            while got < BYTES:
                got += len(receiver.recv(BYTES))
        sending.join()
    assert time.monotonic() - started > 0.9 * (BYTES - 10_000) * 8 / 8_000_000
