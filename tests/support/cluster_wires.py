"""Things sent between the pods of a running cluster, with all that was seen of them anywhere."""

from __future__ import annotations

import os
from functools import cached_property

from support.capture import Capture, Frames, mark
from support.cluster_namespaces import namespaces_of
from support.clusters import Cluster
from support.namespaces import run_inside

HOST = "host"
"""The machine's own namespace, which must see nothing."""


class Wires:
    """The wires of one cluster; what several tests look at is sent once."""

    def __init__(self, cluster: Cluster, pods: dict[str, str]) -> None:
        """`pods` are the addresses of the pods by name."""
        self._cluster = cluster
        self.spaces = namespaces_of(cluster)
        self.ip = pods | {"node-1": "192.168.0.11", "node-2": "192.168.0.12"}

    def mac(self, place: str, device: str = "eth0") -> str:
        return self.spaces[place].mac(device)

    def mtu(self, place: str, device: str = "eth0") -> int:
        return int(self.spaces[place].device(device)["mtu"])

    def send(self, source: str, *command: str) -> tuple[str, Frames]:
        """Run a command on a node or in a pod; what it printed, and all frames of that time."""
        where = f"node:{source}" if source.startswith("node-") else source
        container = "main" if source.startswith("pod-") else ""
        pids = {name: space.pid for name, space in self.spaces.items()} | {HOST: os.getpid()}
        with Capture(pids) as capture:
            done = self._cluster.exec(where, *command, container=container)
            assert done.returncode == 0, f"{source}: {command}: {done.stdout}{done.stderr}"
            return done.stdout, capture.frames()

    def ping(self, source: str, target: str, *options: str) -> tuple[bytes, Frames]:
        """Send one ping; bytes that each of its frames holds, and all frames of that time."""
        sign = mark()
        command = ("ping", "-n", "-c", "1", "-W", "5", "-p", sign.hex(), *options, self.ip[target])
        _, frames = self.send(source, *command)
        return sign, frames

    @cached_property
    def crossing(self) -> tuple[Frames, Frames]:
        """The largest ping from pod-1 to pod-3, on the other node: its frames, and all of that time.

        The nodes have forgotten each other's MACs before.
        """
        for node in ("node-1", "node-2"):
            run_inside(self.spaces[node].pid, "ip", "neigh", "flush", "all")
        sign, frames = self.ping("pod-1", "pod-3", "-M", "do", "-s", str(self.mtu("pod-1") - 28))
        return frames.of(holding=sign), frames

    @cached_property
    def staying(self) -> Frames:
        """The frames of a ping from pod-1 to pod-2, on the same node."""
        sign, frames = self.ping("pod-1", "pod-2")
        return frames.of(holding=sign)
