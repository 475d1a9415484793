"""Nodes of a real runtime on one switch, each with a TUN device and its carrier, as Calico's IPIP has it.

node-1 has 192.168.0.11 on eth0, tunl0 with 10.244.1.0, and pod-1 with 10.244.1.5 behind it; and so on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fabric.runtime.client import RuntimeClient
from fabric.runtime.contract import DaemonSpec, DaemonStatus, HostSpec
from support.daemon_contract import daemon
from support.eventually import eventually
from support.namespaces import run_inside
from support.runtime_process import running

NUMBERS = (1, 2, 3)
MTU = 1480


class IpipLab:
    """`pids` has the namespaces: switch, node-1 …, pod-1 …."""

    def __init__(self, client: RuntimeClient, directory: Path) -> None:
        self.client = client
        self.pids: dict[str, int] = {}
        self._directory = directory

    async def build(self) -> None:
        hosts = ["switch", *(f"{kind}-{n}" for n in NUMBERS for kind in ("node", "pod"))]
        for host in hosts:
            self.pids[host] = await self.client.start_node(HostSpec(host))
        self.shell("switch", "ip link add br0 type bridge; ip link set br0 up")
        for n in NUMBERS:
            self._wire(n)
        for n in NUMBERS:
            self.make_tunnel(n)
            await self.start_carrier(n)

    def shell(self, host: str, script: str) -> str:
        return run_inside(self.pids[host], "sh", "-ec", script)

    def make_tunnel(self, n: int) -> None:
        """The device, its address, and the routes to the other nodes' pods."""
        script = f"""
            ip tuntap add tunl0 mode tun
            ip link set tunl0 mtu {MTU} up
            ip addr add 10.244.{n}.0/32 dev tunl0
        """
        others = [other for other in NUMBERS if other != n]
        self.shell(f"node-{n}", script + "\n".join(map(self.route, others)))

    @staticmethod
    def route(to: int, through: int = 0) -> str:
        return f"ip route replace 10.244.{to}.0/26 via 192.168.0.1{through or to} dev tunl0 onlink"

    async def start_carrier(self, n: int) -> DaemonStatus:
        """Start it and wait until it carries the device."""
        spec = DaemonSpec(f"node-{n}", "carrier", ("ipip-carrier", "tunl0"), log_path=self.log(n))
        started = await self.client.start_daemon(spec)
        await self.is_carried(n)
        return started

    async def carrier(self, n: int) -> DaemonStatus:
        return await daemon(self.client, "carrier", f"node-{n}")

    async def is_carried(self, n: int) -> None:
        await eventually(lambda: "LOWER_UP" in self.shell(f"node-{n}", "ip link show tunl0"))

    def log(self, n: int) -> Path:
        return self._directory / f"carrier-{n}.log"

    def said(self, n: int) -> list[str]:
        """What a carrier has logged, without the stamps."""
        return [line.split(": ", 1)[1] for line in self.log(n).read_text().splitlines()]

    def pings(self, host: str, to: str, *options: str) -> bool:
        script = f"ping -c 1 -W 1 {' '.join(options)} {to} >/dev/null && echo yes || echo no"
        return self.shell(host, script) == "yes\n"

    async def reaches(self, host: str, to: str) -> None:
        await eventually(lambda: self.pings(host, to))

    def _wire(self, n: int) -> None:
        pod, switch = self.pids[f"pod-{n}"], self.pids["switch"]
        self.shell(
            f"node-{n}",
            f"""
            sysctl -qw net.ipv4.ip_forward=1
            ip link set lo up
            ip link add eth0 type veth peer name port{n} netns {switch}
            ip link set eth0 up
            ip addr add 192.168.0.1{n}/24 dev eth0
            ip link add cali1 type veth peer name eth0 netns {pod}
            ip link set cali1 up
            ip route add 10.244.{n}.5 dev cali1
            """,
        )
        self.shell("switch", f"ip link set port{n} master br0 up")
        self.shell(
            f"pod-{n}",
            f"""
            ip link set eth0 up
            ip addr add 10.244.{n}.5/32 dev eth0
            ip route add 192.168.0.1{n} dev eth0
            ip route add default via 192.168.0.1{n} dev eth0
            """,
        )


@asynccontextmanager
async def ipip_lab(directory: Path) -> AsyncIterator[IpipLab]:
    async with running(directory) as (_, client):
        lab = IpipLab(client, directory)
        await lab.build()
        yield lab
