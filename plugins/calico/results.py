"""What ADD answered, kept in the node's own files as CNI's runtimes keep it: one file a pod.

    /var/lib/cni/results/k8s-pod-network-<uid>.json   {"namespace", "pod", "ips", "mtu"}

A file appears and changes in one step: a reader sees all of it or none. One that cannot be read is as good as
none: ADD is asked again, and finds in the IPAM what the pod has.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from calico.addresses import NETWORK
from calico.ipam.records import NONSENSE
from fabric.errors import FabricError
from fabric.netstate.objects import IPAddress

FOLDER = Path("var/lib/cni/results")
_PREFIX = f"{NETWORK}-"


@dataclass(frozen=True, slots=True)
class Result:
    """Of one ADD."""

    namespace: str
    pod: str
    ips: tuple[IPAddress, ...]
    mtu: int


class Results:
    """Of one node."""

    def __init__(self, root: Path) -> None:
        """`root`: the node's private files."""
        self._folder = root / FOLDER

    def keep(self, uid: str, result: Result) -> None:
        """FabricError when it cannot be written."""
        ips = list(map(str, result.ips))
        kept = {"namespace": result.namespace, "pod": result.pod, "ips": ips, "mtu": result.mtu}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            fresh = self._path(uid, "new")
            fresh.write_text(json.dumps(kept))
            fresh.replace(self._path(uid, "json"))
        except OSError as error:
            raise FabricError(f"/{FOLDER} of the node cannot be written: {error.strerror}") from error

    def kept(self, uid: str) -> Result | None:
        """None when there is none that can be read."""
        try:
            return _read(json.loads(self._path(uid, "json").read_text()))
        except (OSError, *NONSENSE):
            return None

    def forget(self, uid: str) -> None:
        """None is no error."""
        try:
            for suffix in ("new", "json"):
                self._path(uid, suffix).unlink(missing_ok=True)
        except OSError as error:
            raise FabricError(f"/{FOLDER} of the node cannot be written: {error.strerror}") from error

    def uids(self) -> frozenset[str]:
        """The pods of which there is a file, readable or not."""
        found = (path.stem for path in self._folder.glob(f"{_PREFIX}*") if path.suffix in (".new", ".json"))
        return frozenset(name.removeprefix(_PREFIX) for name in found)

    def _path(self, uid: str, suffix: str) -> Path:
        return self._folder / f"{_PREFIX}{uid}.{suffix}"


def _read(doc: dict[str, Any]) -> Result:
    namespace, pod, mtu = doc["namespace"], doc["pod"], doc["mtu"]
    if not (isinstance(namespace, str) and namespace and isinstance(pod, str) and pod and doc["ips"]):
        raise ValueError("no result of an ADD")
    return Result(namespace, pod, tuple(ip_address(str(text)) for text in doc["ips"]), int(mtu))
