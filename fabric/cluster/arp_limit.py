"""The limit of ARP entries, which all namespaces of a machine share, is raised while clusters need more.

`up --tune` writes a claim into a file before it raises the limit; `down` takes the cluster's claim away, and
the last one puts back what was there before. The file says all that must be known, so a kill at any moment,
or clusters that come and go in any order, leave nothing raised for ever. A limit that somebody else changed
meanwhile is left as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from fabric.cluster.lock import held
from fabric.errors import FabricError
from fabric.netstate.objects import IPAddress, IPInterface
from fabric.plugin.contract import BgpSpeaker, NodeFacts

FOLDER = Path("/run/fabric")
"""The folder of the claims: as the limit is the machine's, it is one for clusters of all folders."""
GC_THRESH3 = "net.ipv4.neigh.default.gc_thresh3"
SPARE = 256
"""Entries that no claim counts: the machine's own, and those of namespaces that Linux has not freed yet."""


class Claims(msgspec.Struct, frozen=True):
    """The entries that each cluster needs, and the limit as it was before."""

    before: int
    raised: int
    needs: dict[str, int] = {}


class ArpLimit:
    """The limit of one machine, and the file with the claims on it."""

    def __init__(self, folder: Path | None = None, value: Path | None = None) -> None:
        folder = folder or FOLDER
        self._file = folder / ".arp-limit.json"
        self._lock = folder / ".arp-limit.lock"
        self._value = value or Path("/proc/sys", *GC_THRESH3.split("."))

    def claim(self, cluster: str, entries: int, *, tune: bool) -> None:
        """Raise the limit so that this cluster has its entries beside the others.

        Without `tune` nothing is raised, but where others raised it already, the cluster joins them, and
        keeps its entries when they go.
        """
        if not tune and not self._file.exists():
            return
        with held(self._lock):
            claims = self._read()
            if claims is None and not tune:
                return
            now = self._limit()
            claims = claims or Claims(now, now)
            needs = claims.needs | {cluster: entries}
            raised = _power_of_two(sum(needs.values()) + SPARE) if tune else claims.raised
            raised = max(raised, claims.raised, now)
            self._write(Claims(claims.before, raised, needs))
            if raised > now:
                self._set(raised)

    def release(self, cluster: str, alive: Collection[str]) -> None:
        """Take the cluster's claim away; `alive` are all that there still are. Nothing is no error."""
        if not self._file.exists():
            return
        with held(self._lock):
            claims = self._read()
            if claims is None:
                return
            left = {name: need for name, need in claims.needs.items() if name != cluster and name in alive}
            if left:
                self._write(Claims(claims.before, claims.raised, left))
                return
            if self._limit() == claims.raised != claims.before:
                self._set(claims.before)
            self._file.unlink()
        with suppress(OSError):
            self._file.parent.rmdir()

    def _limit(self) -> int:
        return int(self._value.read_text())

    def _set(self, limit: int) -> None:
        try:
            self._value.write_text(str(limit))
        except OSError as error:
            raise FabricError(f"cannot set {GC_THRESH3} to {limit}: {error.strerror}") from None

    def _read(self) -> Claims | None:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Claims)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def _write(self, claims: Claims) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(claims))
        fresh.replace(self._file)


def bgp_entries(speakers: Mapping[str, BgpSpeaker], nodes: Sequence[NodeFacts]) -> int:
    """Count one at each end of an IPv4 session on the node's own network, and one for the gateway."""
    return sum(_entries(speakers[it.name].peers, it.addresses) for it in nodes if it.name in speakers)


def _entries(peers: Iterable[IPAddress], addresses: Sequence[IPInterface]) -> int:
    far = {it for it in peers if it.version == 4}
    near = {it for it in far for own in addresses if it in own.network}
    return len(near) + (len(near) < len(far))


def _power_of_two(number: int) -> int:
    return 1 << max(10, (number - 1).bit_length())
