"""Shells on hosts and in pods, for callers without an event loop: each is a terminal's file descriptor.

The runtimes start them, among the cluster's own processes; they end with this object, or with its process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fabric.cluster.places import Places
from fabric.runtime.client import RuntimeClient
from fabric.runtime.client_exec import RemoteExec
from fabric.runtime.contract import ExecSession


class Shells:
    """Keeps one connection for each shell: its end is the shell's end."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._sessions: list[RemoteExec] = []

    def on_host(self, worker: int, host: str, argv: Sequence[str]) -> int:
        """Start a program in all namespaces of a host; return the master end of its terminal."""
        runtime = RuntimeClient(self._places.runtime_socket(worker))
        return self._kept(asyncio.run(runtime.exec_node(host, argv, tty=True)))

    def in_container(self, worker: int, container: str, argv: Sequence[str]) -> int:
        """Start a program beside a container's; return the master end of its terminal."""
        runtime = RuntimeClient(self._places.runtime_socket(worker))
        return self._kept(asyncio.run(runtime.exec(container, argv, tty=True)))

    def close(self) -> None:
        """End all shells."""
        for session in self._sessions:
            session.close()
        self._sessions.clear()

    def _kept(self, session: ExecSession) -> int:
        assert isinstance(session, RemoteExec), "runtimes are processes of their own"
        assert session.terminal is not None, "a program that asked for a terminal has one"
        self._sessions.append(session)
        return session.terminal
