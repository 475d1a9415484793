"""The sockets of a node's heartbeats: opened in its namespace, and once its link is there."""

from __future__ import annotations

import errno
import socket
import subprocess

import pytest
from support.eventually import eventually
from support.namespaces import namespaces

from fabric.cluster.heartbeats import open_socket


def ip(pid: int, *words: str) -> None:
    subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", *words], check=True)


@pytest.fixture
def node():
    """A node whose eth0 is up, and the switch at the other end of its wire, whose port is not."""
    with namespaces("node-1", "switch") as pids:
        one, switch = pids["node-1"], pids["switch"]
        ip(switch, "link", "add", "br0", "type", "bridge")  # as the underlay makes it: before all ports
        ip(one, "link", "add", "eth0", "type", "veth", "peer", "node-1", "netns", f"/proc/{switch}/ns/net")
        ip(one, "address", "add", "192.0.2.1/24", "dev", "eth0")
        ip(one, "link", "set", "eth0", "up")
        yield one, switch


def opened(pid: int) -> socket.socket | None:
    try:
        return open_socket(pid, "eth0", socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        assert error.errno == errno.ENETDOWN
        return None


async def test_a_node_says_nothing_before_its_link_is_there_and_speaks_as_soon_as_it_is(node):
    one, switch = node
    assert opened(one) is None
    ip(switch, "link", "set", "node-1", "up")
    await eventually(lambda: opened(one) is not None)


async def test_a_node_whose_cable_is_pulled_falls_silent(node):
    one, switch = node
    ip(switch, "link", "set", "node-1", "up")
    await eventually(lambda: opened(one) is not None)
    ip(switch, "link", "set", "node-1", "down")
    await eventually(lambda: opened(one) is None)


def test_a_node_without_a_device_is_refused_and_no_socket_stays_open(node):
    _, switch = node
    with pytest.raises(OSError) as caught:
        open_socket(switch, "eth0", socket.AF_INET, socket.SOCK_STREAM)
    assert caught.value.errno == errno.ENODEV


async def test_what_crosses_a_bridge_first_is_not_lost(node):
    """The node asks a neighbour by ARP at the moment that a socket is given to it."""
    one, switch = node
    with namespaces("control-plane") as pids:
        ip(switch, "link", "set", "node-1", "master", "br0")
        far = f"/proc/{pids['control-plane']}/ns/net"
        ip(switch, "link", "add", "far", "master", "br0", "type", "veth", "peer", "eth0", "netns", far)
        ip(pids["control-plane"], "address", "add", "192.0.2.2/24", "dev", "eth0")
        ip(pids["control-plane"], "link", "set", "eth0", "up")
        for device in ("far", "br0", "node-1"):
            ip(switch, "link", "set", device, "up")
        await eventually(lambda: opened(one) is not None)
        with open_socket(one, "eth0", socket.AF_INET, socket.SOCK_STREAM) as asking:
            asking.settimeout(0.9)  # ARP asks again after a second
            with pytest.raises(ConnectionRefusedError):
                asking.connect(("192.0.2.2", 6443))
