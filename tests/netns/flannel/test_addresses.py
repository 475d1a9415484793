"""The address a pod has is the address that others see; only outside the pod network it is the node's."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest
from support.flannel_cluster import config
from support.flannel_lab import flannel_lab

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]

SERVER = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.settimeout(60)
server.bind(("0.0.0.0", 7000))
print("ready", flush=True)
print(server.recvfrom(100)[1][0], flush=True)
"""
CLIENT = """
import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hello", (sys.argv[1], 7000))
"""


async def spawn(lab, namespace, program, *arguments):
    return await asyncio.create_subprocess_exec(
        "nsenter",
        "-t",
        str(lab.pids[namespace]),
        "-n",
        sys.executable,
        "-c",
        program,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
    )


async def seen_by(lab, server_ns, address, client_ns):
    """The source address that a server in one namespace sees of a client in another."""
    server = await spawn(lab, server_ns, SERVER)
    try:
        assert (await server.stdout.readline()).strip() == b"ready"
        client = await spawn(lab, client_ns, CLIENT, address)
        await client.wait()
        return (await server.stdout.readline()).decode().strip()
    finally:
        if server.returncode is None:
            server.kill()
        await server.wait()


@pytest.mark.parametrize("backend", ["vxlan", "host-gw"])
async def test_pods_and_nodes_are_seen_by_their_own_addresses(tmp_path, backend):
    async with flannel_lab(tmp_path, config(backend)) as lab:
        near = await lab.attach(1, 1)
        beside = await lab.attach(2, 1)
        far = await lab.attach(3, 2)
        assert await seen_by(lab, "pod:uid-3", far, "pod:uid-1") == near
        assert await seen_by(lab, "pod:uid-2", beside, "pod:uid-1") == near
        assert await seen_by(lab, "pod:uid-1", near, "node-1") == "10.244.1.1"
        node_1 = "10.244.1.0" if backend == "vxlan" else "192.168.0.11"
        assert await seen_by(lab, "pod:uid-3", far, "node-1") == node_1
        assert await seen_by(lab, "node-2", "192.168.0.12", "pod:uid-1") == "192.168.0.11"
