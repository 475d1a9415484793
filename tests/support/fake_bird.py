"""A BIRD that is nothing but its files: for keepers on FakeDaemons, in virtual time."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from fabric.bird.client import BirdAway, BirdClient, BirdRefused
from fabric.bird.daemon import Daemon
from fabric.bird.protocols import Protocol
from fabric.bird.reasons import NO_SOCKET
from fabric.bird.status import Status
from support.fake_daemons import FakeDaemons

REFUSED = 8002


class FakeBird(BirdClient):
    """Answers while FakeDaemons has a program `bird`; reads its file when it starts, and when it is told."""

    def __init__(self, daemons: FakeDaemons, daemon: Daemon) -> None:
        super().__init__(daemon.control_socket)
        self._daemons = daemons
        self._file = daemon.config
        self._control_socket = daemon.control_socket
        self._seen_as = daemon.seen_as
        self.has = ""
        """The text of the configuration that it runs."""
        self.calls: list[str] = []
        self.refuses = re.compile("(?!)")
        """Configurations in which this is found are refused."""
        self.is_stuck = False
        self.port_is_taken = False
        """True while another program has the BGP port: sessions that begin are disabled."""
        self.deaf: set[str] = set()
        """The sessions that BIRD disabled because of it."""
        self._read_at = datetime.min

    async def status(self) -> Status:
        self._answer("status")
        now = datetime.now()
        return Status("2.0.12", IPv4Address("192.168.0.11"), "node-1", now, now, self._read_at, True)

    async def configure(self, path: Path | None = None, *, check: bool = False, soft: bool = False) -> str:
        self._answer("check" if check else "configure")
        text = (self._file.parent / path.name if path else self._file).read_text()
        if self.refuses.search(text):
            raise BirdRefused(f"{path or self._file}:1:1 syntax error", REFUSED)
        if not check:
            self._take(text)
        return "Reconfigured"

    async def protocols(self, pattern: str = "", *, details: bool = True) -> tuple[Protocol, ...]:
        self._answer("protocols")
        return tuple(
            Protocol(name, "BGP", "---", "down", "12:00:00", f"Error: {NO_SOCKET}")
            for name in sorted(self.deaf)
        )

    async def enable(self, protocol: str) -> None:
        self._answer(f"enable {protocol}")
        if not self.port_is_taken:
            self.deaf.discard(protocol)

    async def disable(self, protocol: str) -> None:
        self._answer(f"disable {protocol}")

    async def reload(self, protocol: str = "all", direction: str = "") -> None:
        self._answer(f"reload {direction} {protocol}")

    def _answer(self, call: str) -> None:
        if "bird" not in self._daemons.programs or self.is_stuck:
            self.has = ""
            raise BirdAway("BIRD at node-1 is not running")
        if not self.has:
            self._take(self._file.read_text())
        self.calls.append(call)

    def _take(self, text: str) -> None:
        """Later than the file was written, by more than clocks may differ: no real time passes here."""
        self.has, self._read_at = text, datetime.now() + timedelta(seconds=1)
        self._control_socket.touch()
        if self.port_is_taken:
            self.deaf.add("Mesh_1")
