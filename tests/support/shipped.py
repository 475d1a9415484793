"""The shipped topologies as clusters of tests: the same file under a name of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from support.clusters import TOP, Cluster

FOLDER = TOP / "topologies"


class Shipped(Cluster):
    """A cluster of one shipped topology; `edit` may change its `spec` first."""

    def __init__(self, folder: Path, topology: str) -> None:
        super().__init__(folder)
        self.document: dict[str, Any] = yaml.safe_load((FOLDER / f"{topology}.yaml").read_text())
        self.document["metadata"]["name"] = self.name
        manifests = self.document["spec"].get("manifests", [])
        self.document["spec"]["manifests"] = [
            str(FOLDER / entry) if isinstance(entry, str) else entry for entry in manifests
        ]
        self.write_document()

    def write_document(self) -> None:
        """Write the topology as it stands in `document`."""
        self.file.write_text(yaml.safe_dump(self.document, sort_keys=False))

    def address(self, pod: str) -> str:
        """A pod's address, as `up` reported it."""
        return next(str(it["ip"]) for it in self.report["pods"] if it["name"] == pod)

    def node_of(self, pod: str) -> str:
        return next(str(it["node"]) for it in self.report["pods"] if it["name"] == pod)

    report: dict[str, Any]
    """What `up` said; set by whoever calls it."""
