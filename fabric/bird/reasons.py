"""Why a session is not up: what BIRD says, and what only the kernel knows.

A wrong password is invisible to BIRD: Linux drops the peer's segments before there is a connection (RFC
2385), so that both sides say `Connect` or `Active` for ever and name no error. The kernel counts those drops
in each network namespace (`/proc/<pid>/net/netstat`), for all sessions together.
"""

from __future__ import annotations

from dataclasses import dataclass

from fabric.bird.protocols import Protocol

NO_SOCKET = "No listening socket"
"""The error with which BIRD disables a session for good where another program has the port."""
_WAITING = {"Connect", "Active", "Passive", "OpenSent"}


@dataclass(frozen=True, slots=True)
class Md5Drops:
    """TCP segments that a namespace dropped for their signature, since it was made."""

    wrong: int = 0
    """Signed with another password."""
    missing: int = 0
    """Not signed, where this side has a password."""
    unexpected: int = 0
    """Signed, where this side has none."""


def md5_drops(netstat: str) -> Md5Drops:
    """Read the text of `/proc/<pid>/net/netstat`; zeros where the kernel knows no TCP MD5."""
    rows = [line.split() for line in netstat.splitlines() if line.startswith("TcpExt:")]
    counts = dict(zip(*rows, strict=False)) if len(rows) == 2 else {}
    return Md5Drops(
        wrong=int(counts.get("TCPMD5Failure", 0)),
        missing=int(counts.get("TCPMD5NotFound", 0)),
        unexpected=int(counts.get("TCPMD5Unexpected", 0)),
    )


def reason(protocol: Protocol, drops: Md5Drops = Md5Drops()) -> str:
    """Say in a line why this BGP session is not established; "" for one that is.

    `drops` are its namespace's; they are blamed only where BIRD itself has seen no error.
    """
    session = protocol.bgp
    if session is None or session.is_established:
        return ""
    if protocol.state == "down":
        return session.last_error or "disabled"
    if session.last_error:
        return session.last_error
    if session.state in _WAITING:
        return _blame(drops) or f"no answer from {session.neighbor_address} yet"
    return session.state


def _blame(drops: Md5Drops) -> str:
    if drops.wrong:
        return f"wrong password: {drops.wrong} segments came with another TCP MD5 signature"
    if drops.missing:
        return f"password only here: {drops.missing} segments came without a TCP MD5 signature"
    if drops.unexpected:
        return f"password only there: {drops.unexpected} segments came with a TCP MD5 signature"
    return ""
