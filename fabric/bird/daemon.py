"""A BIRD daemon: its files, its command line, and how it changes its configuration and keeps its sessions.

A new configuration is written beside the old one, read by the daemon with `configure check`, and only then
takes its name; `configure` makes the daemon take it. BIRD compares the two itself, protocol by protocol: a
protocol whose options are the same keeps its session, one of which only the filters changed has its routes
sent through them again, any other is restarted. A refusal leaves file and daemon as they were.

The daemon stays in the foreground, so that who started it sees it end. It makes its control socket once
its configuration has been read: it is up when that socket answers.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fabric.bird.client import BirdAway, BirdClient
from fabric.bird.config import Config
from fabric.bird.status import Status
from fabric.errors import FabricError

PROGRAM = "bird"
UP_SECONDS_MAX = 10.0
ASK_AGAIN_SECONDS, ASK_AGAIN_SECONDS_MAX = 0.02, 0.5
"""Hundreds may be waited for at once, on a machine that they keep busy."""
NUDGES_SECONDS = (1.05, 1.2, 1.5, 2.0)
"""When to ask a BIRD that has new sessions anything at all. What a session is to send when it comes up is put
off in BIRD 2.0.12 until something else happens, which in a quiet network is up to two seconds; a question is
something. Sessions come up 0.75 to 1 s after their start, where `connect delay time` is 1."""
CLOCK_DOUBT_SECONDS = 0.002
"""BIRD cuts its times to a millisecond, and its answer takes a moment."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """The files of one bird, in a folder that it alone uses."""

    folder: Path
    """Where this process finds them."""
    seen_as: Path | None = None
    """Where the daemon finds the same folder, if it has a file system of its own."""

    config_at: Path | None = None
    """Where this process finds the configuration; without it `bird.conf` in the folder, else a link to it."""
    config_seen_as: Path | None = None
    """Where the daemon finds it."""

    @property
    def config(self) -> Path:
        return self.config_at or self._in_folder

    @property
    def control_socket(self) -> Path:
        return self.folder / "bird.ctl"

    @property
    def pid_file(self) -> Path:
        return self.folder / "bird.pid"

    @property
    def argv(self) -> tuple[str, ...]:
        """Start it, in the foreground; its folder must be there, and the configuration in it."""
        inside = self._inside()
        return (
            PROGRAM,
            "-f",
            "-c",
            str(self._config_inside),
            "-s",
            str(inside / self.control_socket.name),
            "-P",
            str(inside / self.pid_file.name),
        )

    @property
    def restart_argv(self) -> tuple[str, ...]:
        """Start it again after a crash: it keeps the kernel's routes until its peers have sent theirs."""
        return (*self.argv, "-R")

    @property
    def check_argv(self) -> tuple[str, ...]:
        """Read the configuration without running: exit code 0, or 1 with file, line and reason on stderr."""
        return (PROGRAM, "-p", "-c", str(self._config_inside))

    def client(self, name: str = "") -> BirdClient:
        return BirdClient(self.control_socket, name=name)

    def make_folders(self) -> None:
        """Make what is missing of its folders, and the link to a configuration that has a place of its own.

        By the name in the folder a BIRD is found, also one that never ran.
        """
        for folder in (self.folder, self.config.parent):
            folder.mkdir(parents=True, exist_ok=True)
        link, target = self._in_folder, Path(os.path.relpath(self.config, self.folder))
        if self.config != link and not (link.is_symlink() and link.readlink() == target):
            link.unlink(missing_ok=True)
            link.symlink_to(target)

    def remove_files(self) -> None:
        """Remove the configuration of a daemon that ended, and what it is found by."""
        for path in (self.config, self._in_folder, self.control_socket):
            path.unlink(missing_ok=True)

    def write(self, config: Config) -> None:
        """Put the configuration in its place, for a daemon that is yet to start."""
        _write(self._beside, str(config))
        self._beside.replace(self.config)

    def runs(self, config: Config) -> bool:
        """True when the file says just this; a daemon that took it needs not be told again."""
        try:
            return self.config.read_bytes() == str(config).encode()
        except OSError:
            return False

    def has_read(self, status: Status) -> bool:
        """True when the daemon took its configuration after the file was put in its place.

        False as well when it cannot be told: whoever died between the two steps of `reconfigure`, or read
        the clocks in the same moment, loses nothing by one `configure` more.
        """
        file_age = time.time() - self.config.stat().st_mtime
        return (status.now - status.configured).total_seconds() < file_age - CLOCK_DOUBT_SECONDS

    async def reconfigure(self, client: BirdClient, config: Config) -> str:
        """Make a running daemon take this configuration; return BIRD's last word.

        BirdRefused says which line is wrong: then file and daemon are as before. BirdAway before the file was
        replaced leaves it too; after that, a daemon that starts again reads the new one.
        """
        _write(self._beside, str(config))
        try:
            await client.configure(_new(self._config_inside), check=True)
            self._beside.replace(self.config)
        finally:
            with suppress(FileNotFoundError):
                self._beside.unlink()
        return await client.configure()

    @property
    def _beside(self) -> Path:
        return _new(self.config)

    @property
    def _in_folder(self) -> Path:
        return self.folder / "bird.conf"

    @property
    def _config_inside(self) -> Path:
        return self.config_seen_as or self._inside() / self.config.name

    def _inside(self) -> Path:
        return self.seen_as or self.folder


def _new(config: Path) -> Path:
    """The place of a configuration that is yet to be checked."""
    return config.with_name(f"{config.name}.new")


async def until_up(client: BirdClient, *, seconds_max: float = UP_SECONDS_MAX) -> Status:
    """Wait until the daemon answers; BirdAway with the last reason when it does not in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds_max
    pause = ASK_AGAIN_SECONDS
    while True:
        try:
            return await client.status()
        except BirdAway:
            if loop.time() >= deadline:
                raise
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, ASK_AGAIN_SECONDS_MAX)


async def nudge(client: BirdClient) -> None:
    """Ask a BIRD that was just started at the moments when its sessions come up."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for seconds in NUDGES_SECONDS:
        await asyncio.sleep(began + seconds - loop.time())
        with suppress(FabricError):
            await client.status()


def _write(path: Path, text: str) -> None:
    """Passwords of peers stand in it: nobody else may read it, not even for a moment."""
    with suppress(FileNotFoundError):
        path.unlink()
    path.touch(0o600, exist_ok=False)
    path.write_text(text)
