"""The keeper has one BIRD, of a node or of a router, run with the configuration that is wanted.

Level-triggered: a pass looks at what runs and at what the file says, and makes it so. A configuration that
comes while a pass runs is the next pass's, so that a burst of them is one. A daemon outlives whoever keeps
it: a new keeper finds it running, and leaves it alone when it already has what is wanted.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fabric.bird.client import BirdClient
from fabric.bird.config import Config
from fabric.bird.daemon import NUDGES_SECONDS, Daemon, until_up
from fabric.bird.reasons import NO_SOCKET
from fabric.control.backoff import jittered
from fabric.control.loop import RESYNC_JITTER, Loop
from fabric.errors import FabricError
from fabric.plugin.contract import Daemons, Program

NAME = "bird"
"""The program's name on its host."""

PACE_SECONDS = 0.3
"""From one pass to the next at least."""
QUIET_SECONDS_PER_SESSION, QUIET_SECONDS_MAX = 0.005, 1.0
"""How long nothing must have changed before a new file is taken: while a cluster starts, each node that
registers changes the files of all others. A small file is taken in no time; a large one costs BIRD more. A
peer that does not know its dialler hangs up, to be dialled again each second: 20,000 such sessions are more
than two processors bear."""
FIRST_QUIET_SECONDS = 0.1
"""The least before BIRD is started: it is best started when all sessions are known."""
BURST = 8
"""A burst that does not end is interrupted after so many times that."""
LOOK_SECONDS = 60.0
"""How often BIRD is asked whether it is there, when nothing changes (and a jitter more): one that ends is
started again by the runtime, which needs no look."""
RELOAD_SECONDS = (0.0, 0.3, 2.5)
"""When BIRD offers the kernel all routes again after a device was made: a route that came before was refused,
and BIRD does not try again by itself. It sees a device by a message, or by a look each 2 s."""


class Deaf(FabricError):
    """A BIRD that runs and cannot listen, because another program of its host has the port."""


class BirdKeeper:
    """The keeper of one daemon; `run` is its only task, everything else just notes."""

    def __init__(
        self,
        daemon: Daemon,
        daemons: Daemons,
        host: str,
        *,
        client: BirdClient | None = None,
        first_quiet_seconds: float = FIRST_QUIET_SECONDS,
    ) -> None:
        """`host`: the name of the node or router in messages; `daemons`: the programs of this host."""
        self._daemon = daemon
        self._program = Program(NAME, daemon.argv, daemon.restart_argv)
        self._daemons = daemons
        self._bird = client or daemon.client(host)
        self._first_quiet_seconds = first_quiet_seconds
        self._wanted: Config | None = None
        self._is_told = False
        self._has: Config | None = None
        self._reloads: list[float] = []
        """When routes are to be offered to the kernel again, the next first."""
        self._device = ""
        """The device that came last."""
        self._nudges: list[float] = []
        """When BIRD is to be asked next, because it has new sessions: see `NUDGES_SECONDS`."""
        self._pass_at = self._look_at = 0.0
        """When the next pass may begin, and when BIRD is to be looked at."""
        self._changed = asyncio.Event()
        self._loop = Loop(f"bird of {host}", self._reconcile)

    def want(self, config: Config | None) -> None:
        """Have BIRD run with this configuration; None: have it end."""
        if self._is_told and config == self._wanted:
            return
        self._wanted, self._is_told = config, True
        self._changed.set()
        self._loop.trigger()

    def device_came(self, device: str) -> None:
        """Have every route offered to the kernel again, where a filter sends routes through the device."""
        now = asyncio.get_running_loop().time()
        self._device = device
        self._reloads = [now + seconds for seconds in RELOAD_SECONDS]
        self._loop.trigger()

    def trigger(self) -> None:
        """Look again now whether it runs: the host was off, and its programs are gone."""
        self._has = None
        self._loop.trigger()

    @property
    def is_up(self) -> bool:
        """BIRD answered, and has the configuration that is wanted now."""
        return self._has is not None and self._has is self._wanted

    @property
    def last_error(self) -> str:
        """Why the last pass failed; empty when it did not."""
        return self._loop.last_error

    async def run(self) -> None:
        """Run for ever; a refusal, of BIRD or of the host's file system, is retried."""
        await self._loop.run()

    async def _reconcile(self) -> float | None:
        """Do one pass, not too soon after the one before; return the seconds until the next is due."""
        if not self._is_told:
            return None
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._pass_at - loop.time())
        try:
            return await self._pass()
        except Deaf:
            self._look_at = 0.0
            raise
        except (FabricError, OSError) as error:
            self._has = None
            raise error if isinstance(error, FabricError) else FabricError(str(error)) from error
        finally:
            self._pass_at = loop.time() + PACE_SECONDS

    async def _pass(self) -> float | None:
        loop = asyncio.get_running_loop()
        if self._wanted is not self._has:
            await self._settle()
        wanted = self._wanted
        if wanted is None:
            await self._end()
            return None
        if self._has is not wanted or loop.time() >= self._look_at:
            await self._look(wanted)
        elif self._nudges and loop.time() >= self._nudges[0]:
            await self._nudge()
        await self._reload(wanted)
        now = loop.time()
        self._nudges = [at for at in self._nudges if at > now]
        return max(0.0, min((self._look_at, *self._nudges, *self._reloads)) - now)

    async def _look(self, wanted: Config) -> None:
        await self._see_that_it_runs(wanted)
        now = asyncio.get_running_loop().time()
        is_new = self._has is not wanted
        self._has, self._look_at = wanted, now + jittered(LOOK_SECONDS, RESYNC_JITTER)
        if is_new:
            self._nudges = [now + seconds for seconds in NUDGES_SECONDS]
        else:
            await self._see_that_it_listens()

    async def _nudge(self) -> None:
        """Ask BIRD something; the last question is whether its sessions could begin."""
        if len(self._nudges) > 1:
            with suppress(FabricError):
                await self._bird.status()
        else:
            await self._see_that_it_listens()

    async def _see_that_it_listens(self) -> None:
        """Enable the sessions that BIRD disabled because it could not listen; Deaf if there are any."""
        protocols = await self._bird.protocols(details=False)
        disabled = [it.name for it in protocols if it.info.endswith(NO_SOCKET)]
        for name in disabled:
            await self._bird.enable(name)
        if disabled:
            raise Deaf("BIRD cannot listen for its peers: another program on this host has the BGP port")

    async def _reload(self, wanted: Config) -> None:
        now = asyncio.get_running_loop().time()
        if not self._reloads or self._reloads[0] > now:
            return
        if wanted.sends_through(self._device):
            for kernel in wanted.kernels:
                await self._bird.reload(kernel, "out")
        self._reloads = [at for at in self._reloads if at > now]

    async def _settle(self) -> None:
        """Let a burst of changes end; as the file grows, so does the patience."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        least = 0.0 if self._daemon.control_socket.exists() else self._first_quiet_seconds
        while True:
            by_size = min(
                (self._wanted.sessions if self._wanted else 0) * QUIET_SECONDS_PER_SESSION, QUIET_SECONDS_MAX
            )
            quiet = max(least, by_size)
            if loop.time() - began >= BURST * quiet:
                return
            self._changed.clear()
            try:
                async with asyncio.timeout(quiet):
                    await self._changed.wait()
            except TimeoutError:
                return

    async def _see_that_it_runs(self, wanted: Config) -> None:
        self._daemon.make_folders()
        if NAME not in await self._daemons.running():
            # It will read the file by itself when it starts, and may not start with an older one.
            self._daemon.write(wanted)
        await self._daemons.keep(self._program)
        status = await until_up(self._bird)
        if not self._daemon.runs(wanted):
            await self._daemon.reconfigure(self._bird, wanted)
        elif not self._daemon.has_read(status):
            await self._bird.configure()

    async def _end(self) -> None:
        self._has = None
        await self._daemons.end(NAME)
        self._daemon.remove_files()
