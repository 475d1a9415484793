"""A reader at a terminal: runs a page's commands one after the other and compares what they print.

The reader works in a folder of their own, with a copy of the topologies. A cluster gets a name that no other
test has, and what the page calls it is put back into the output.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

from support.pages import TOP, Said
from support.transcript import fold, matches, moved, subnets

AGAIN_SECONDS_MAX = 60.0
COMMAND_SECONDS_MAX = 120.0
_READS = re.compile(
    r"^(?:fabric (?:exec|status|logs|bgp|routes|graph|policy (?:matrix|why)|calicoctl (?:get|ipam|node))"
    r"|kubectl get)\b"
    r"(?!.*(?: del | tcpdump ))"
)


_FABRIC = """#!/bin/sh
command=$1
case $command in
exec | logs | routes) shift; set -- "$command" --cluster {cluster} "$@" ;;
link) set -- "$@" --cluster {cluster} ;;
graph) [ $# -gt 1 ] || set -- "$@" {cluster} ;;
status | kubeconfig | bgp) set -- "$@" {cluster} ;;
esac
exec {python} -P -m fabric "$@"
"""


class PageSession:
    """One page's commands on one cluster, which the page calls `topology`."""

    def __init__(self, folder: Path, topology: str = "") -> None:
        self._folder = folder
        self._topology = topology
        self.cluster = f"test-{uuid.uuid4().hex[:8]}"
        self._is_up = False
        self._said: dict[str, str] = {}
        self._real: dict[str, str] = {}
        self._background: subprocess.Popen[bytes] | None = None
        self._background_log = folder / "background.log"
        self._env = os.environ | {
            "COLUMNS": "100",
            "FABRIC_CLUSTER": self.cluster,
            "PATH": f"{folder}/bin:{os.environ['PATH']}:/usr/sbin:/sbin",
        }
        self._furnish()

    def _furnish(self) -> None:
        shutil.copytree(TOP / "topologies", self._folder / "topologies")
        (self._folder / "bin").mkdir()
        program = self._folder / "bin/fabric"
        program.write_text(_FABRIC.format(cluster=self.cluster, python=sys.executable))
        program.chmod(0o755)
        if self._topology:
            text = (TOP / f"topologies/{self._topology}.yaml").read_text()
            path = self._folder / f"topologies/{self.cluster}.yaml"
            path.write_text(text.replace(f"name: {self._topology}", f"name: {self.cluster}"))

    def play(self, said: Said) -> None:
        """Run one command; AssertionError when it never prints what the page says."""
        self._said |= subnets(said.output)
        if said.command.startswith("export "):
            name, _, value = self._real_command(said.command)[len("export ") :].partition("=")
            self._env[name] = value
        elif said.command.endswith(" &"):
            self._start(said)
        elif said.command.startswith("sleep "):
            return  # what is read next is read again until it is as the page says
        elif said.command == "wait":
            self._wait(said)
        else:
            self._compare(said)

    def _compare(self, said: Said) -> None:
        deadline = time.monotonic() + AGAIN_SECONDS_MAX
        while True:
            printed = self._run(said.command)
            if self._is(said, printed):
                self._is_up |= said.command.startswith("fabric up")
                return
            fresh = said.command.startswith("fabric up") and not self._is_up
            if not (fresh or _READS.match(said.command)) or time.monotonic() > deadline:
                raise AssertionError(self._difference(said, printed))
            if fresh:  # two pods of one node take their addresses in either order
                self._run(f"fabric down {self._topology}")
                self._real.clear()

    def _run(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", self._real_command(command)],
            cwd=self._folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_SECONDS_MAX,
        )
        return done.stdout.decode()

    def _real_command(self, command: str) -> str:
        if self._topology:
            command = command.replace(self._topology, self.cluster)
        return moved(command, self._said, self._real)

    def _is(self, said: Said, printed: str) -> bool:
        self._real |= subnets(printed)
        return matches(said.command, fold(said.output, self._said), self._folded(printed))

    def _folded(self, printed: str) -> str:
        return fold(printed.replace(self.cluster, self._topology), self._real)

    def _difference(self, said: Said, printed: str) -> str:
        return (
            f"{said.where}: $ {said.command}\n--- the page says\n{fold(said.output, self._said)}"
            f"--- it prints\n{self._folded(printed)}--- as it came\n{printed}"
        )

    def _start(self, said: Said) -> None:
        """Start in the background, and wait until it has printed what the page shows below it."""
        command = self._real_command(said.command.removesuffix(" &"))
        with self._background_log.open("wb") as log:
            self._background = subprocess.Popen(
                ["bash", "-c", command],
                cwd=self._folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + AGAIN_SECONDS_MAX
        while not self._is(said, self._background_log.read_text()):
            assert time.monotonic() < deadline, self._difference(said, self._background_log.read_text())
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._background.wait(0.05)
        self._heard = len(self._background_log.read_text())

    def _wait(self, said: Said) -> None:
        assert self._background is not None, f"{said.where}: nothing runs in the background"
        self._background.wait(AGAIN_SECONDS_MAX)
        printed = self._background_log.read_text()[self._heard :]
        assert self._is(said, printed), self._difference(said, printed)

    def close(self) -> None:
        """End what still runs, and take the cluster down."""
        if self._background is not None and self._background.poll() is None:
            self._background.kill()
            self._background.wait()
        if self._topology:
            self._run(f"fabric down {self.cluster}")
