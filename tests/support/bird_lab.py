"""Real birds in namespaces on one bridge: node-1 has 192.168.0.1/24 on eth0, and so on."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path

from fabric.bird.bgp import Bgp, BgpChannel, BgpOptions
from fabric.bird.config import Block, Channel, Config, Device, Direct, Kernel, Log, Static, StaticRoute
from fabric.bird.daemon import Daemon
from support.namespaces import namespaces, run_inside

EXPORT_ROUTES = BgpChannel(export="where source = RTS_STATIC || source = RTS_BGP")


class BirdLab:
    """The namespaces `node-1` …, and a daemon's files for each."""

    def __init__(self, pids: dict[str, int], folder: Path) -> None:
        self.pids = pids
        self._folder = folder
        self._birds: dict[str, subprocess.Popen[bytes]] = {}

    def daemon(self, node: str) -> Daemon:
        return Daemon(self._folder / node)

    def start(self, node: str, config: Config, *, again: bool = False) -> None:
        daemon = self.daemon(node)
        daemon.folder.mkdir(exist_ok=True)
        daemon.write(config)
        argv = daemon.restart_argv if again else daemon.argv
        self._birds[node] = subprocess.Popen(
            ["nsenter", "-t", str(self.pids[node]), "-n", "setpriv", "--pdeathsig", "KILL", *argv],
            stderr=subprocess.DEVNULL,
        )

    def check(self, node: str, config: Config) -> subprocess.CompletedProcess[str]:
        daemon = self.daemon(node)
        daemon.folder.mkdir(exist_ok=True)
        daemon.write(config)
        return subprocess.run(daemon.check_argv, capture_output=True, text=True)

    def kill(self, node: str) -> None:
        bird = self._birds.pop(node)
        bird.kill()
        bird.wait()

    def has_ended(self, node: str) -> bool:
        return self._birds[node].poll() is not None

    def run(self, node: str, command: str) -> str:
        return run_inside(self.pids[node], *command.split())

    def kernel_routes(self, node: str) -> list[str]:
        """What BIRD has written into the kernel, in iproute2's words without trailing blanks."""
        return sorted(line.strip() for line in self.run(node, "ip route show proto bird").splitlines())

    def end(self) -> None:
        for node in list(self._birds):
            self.kill(node)


@contextmanager
def bird_lab(*nodes: str) -> Iterator[BirdLab]:
    with tempfile.TemporaryDirectory(prefix="bird-") as folder, namespaces("switch", *nodes) as pids:
        _wire(pids, nodes)
        lab = BirdLab(pids, Path(folder))
        try:
            yield lab
        finally:
            lab.end()


def address(node: str) -> str:
    return f"192.168.0.{number(node)}"


def number(node: str) -> int:
    return int(node.rpartition("-")[2])


def node_config(node: str, *peers: Block, kernel: Kernel | None = None, log: str = "") -> Config:
    """A router with one block, 10.244.<n>.0/26, which it announces to `peers`."""
    block = StaticRoute(ip_network(f"10.244.{number(node)}.0/26"))
    return Config(
        ip_address(address(node)),  # type: ignore[arg-type]
        hostname=node,
        logs=(Log(log),) if log else (),
        blocks=(
            Device(),
            Direct(interfaces=("-cali*", "*")),
            kernel or Kernel(channel=Channel(export="where source = RTS_BGP")),
            Static(routes=(block,)),
            *peers,
        ),
    )


def peer(
    me: str,
    other: str,
    my_as: int,
    other_as: int,
    *extra: str,
    channel: BgpChannel = EXPORT_ROUTES,
) -> Bgp:
    """A session of `me` with `other`, on fast timers, named for the other's address."""
    options = BgpOptions(
        local_address=ip_address(address(me)),
        local_as=my_as,
        multihop=False,
        connect_delay_seconds=1,
        connect_retry_seconds=1,
        error_wait_seconds=(1, 2),
        extra=extra,
    )
    session = "Mesh_" + address(other).replace(".", "_")
    return Bgp(session, ip_address(address(other)), other_as, options=options, channels=(channel,))


def _wire(pids: dict[str, int], nodes: tuple[str, ...]) -> None:
    switch = ["ip link add br0 type bridge", "ip link set br0 up"]
    for node in nodes:
        port = f"port{number(node)}"
        switch.append(f"ip link add {port} type veth peer name eth0 netns {pids[node]}")
        switch.append(f"ip link set {port} master br0 up")
    _shell(pids["switch"], switch)
    for node in nodes:
        _shell(
            pids[node],
            ["ip link set lo up", f"ip addr add {address(node)}/24 dev eth0", "ip link set eth0 up"],
        )


def _shell(pid: int, commands: list[str]) -> None:
    run_inside(pid, "sh", "-ec", "\n".join(commands))
