"""A client and an echo server on one wire, for probes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fabric.verify.probes import Answer, Job, Outcome, Patience, Protocol
from fabric.verify.probing import ask_all
from support.namespaces import held_by_threads, run_inside

TOP = Path(__file__).parents[2]
ADDRESSES = {4: "192.0.2.2", 6: "2001:db8::2"}
"""Of the server, by family; the client's end in 1."""
SERVED, CLOSED = 80, 85
QUICK = Patience(seconds=0.6, tries=3)
WAIT_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True)
class ProbeLab:
    """The namespaces by name, `client` and `server`."""

    pids: dict[str, int]

    def on(self, name: str, *argv: str) -> str:
        return run_inside(self.pids[name], *argv)

    def filter(self, name: str, version: int, *rule: str) -> None:
        self.on(name, "iptables" if version == 4 else "ip6tables", "-w", *rule)

    def ask(
        self, protocol: Protocol, port: int = 0, *, version: int = 4, address: str = "", source: str = ""
    ) -> Answer:
        """Ask one job from the client."""
        number = 0 if protocol == "icmp" else port or SERVED
        job = Job("client", address or ADDRESSES[version], protocol, number, source)
        return ask_all(self.pids, [job], QUICK)[0]

    def open_sockets(self, name: str) -> list[str]:
        """Every socket in a namespace, in any state, but those that listen."""
        listed = self.on(name, "ss", "-H", "-n", "-a", "-t", "-u", "-w")
        return [line for line in listed.splitlines() if not {"LISTEN", "*:*"} & set(line.split())]


@contextmanager
def probe_lab(*flags: str) -> Iterator[ProbeLab]:
    """Give the wire, with both families, once the server answers."""
    with held_by_threads("client", "server") as pids:
        lab = ProbeLab(pids)
        far = ("peer", "eth0", "netns", f"/proc/{pids['server']}/ns/net")
        lab.on("client", "ip", "link", "add", "eth0", "type", "veth", *far)
        for number, name in enumerate(("client", "server"), 1):
            lab.on(name, "ip", "address", "add", f"192.0.2.{number}/24", "dev", "eth0")
            lab.on(name, "ip", "address", "add", f"2001:db8::{number}/64", "dev", "eth0", "nodad")
            for device in ("lo", "eth0"):
                lab.on(name, "ip", "link", "set", device, "up")
            # A host tells another of six packets that do not arrive, and then of one a second.
            lab.on(name, "sysctl", "-q", "-w", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
        enter = ["nsenter", "-t", str(pids["server"]), "-n"]
        program = [sys.executable, "-S", "-m", "fabric.runtime.builtin.echo", *flags]
        with subprocess.Popen([*enter, *program], cwd=TOP, stdout=subprocess.DEVNULL) as server:
            try:
                _wait(lab)
                yield lab
            finally:
                server.terminate()


def _wait(lab: ProbeLab) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    for version in ADDRESSES:
        while lab.ask("tcp", version=version).outcome is not Outcome.delivered:
            assert time.monotonic() < deadline, "the server does not answer"
