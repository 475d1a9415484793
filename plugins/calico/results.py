"""The results of ADD in the node's own files, as CNI's library keeps them: one cniCacheV1 a pod.

    /var/lib/cni/results/k8s-pod-network-<container id>-eth0

A file appears and changes in one step: a reader sees all of it or none. One that cannot be read is as good as
none: ADD is asked again, and finds in the IPAM what the pod has.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from calico.ipam.records import NONSENSE
from calico.node_files import CNI_VERSION, NETWORK
from fabric.errors import FabricError, disk_refusals
from fabric.netstate.objects import IPAddress
from fabric.netstate.port import pod_namespace
from fabric.plugin.contract import PodRef

FOLDER = Path("var/lib/cni/results")
DEVICE = "eth0"
_PREFIX, _SUFFIX, _NEW = f"{NETWORK}-", f"-{DEVICE}", ".new"


@dataclass(frozen=True, slots=True)
class Result:
    """The result that ADD gave for a pod."""

    namespace: str
    pod: str
    uid: str
    ips: tuple[IPAddress, ...]
    mtu: int
    mac: str
    device: str
    """The node's end of the pod's veth."""

    @property
    def ref(self) -> PodRef:
        return PodRef(self.namespace, self.pod, self.uid, pod_namespace(self.uid))


class Results:
    """The files of one node."""

    def __init__(self, root: Path, conflist: str = "") -> None:
        """`root`: the node's private files; `conflist`: the configuration that the results came from."""
        self._folder = root / FOLDER
        self._config = base64.b64encode(conflist.encode()).decode()

    def keep(self, result: Result) -> None:
        """FabricError when it cannot be written."""
        container = result.ref.sandbox_id
        with disk_refusals(FabricError, f"/{FOLDER} of the node"):
            self._folder.mkdir(parents=True, exist_ok=True)
            fresh = self._path(container, _NEW)
            fresh.write_text(json.dumps(self._document(result, container), separators=(",", ":")))
            fresh.replace(self._path(container))

    def kept(self, container: str) -> Result | None:
        """None when there is none that can be read."""
        try:
            return _read(json.loads(self._path(container).read_text()))
        except (OSError, *NONSENSE):
            return None

    def forget(self, container: str) -> None:
        """None is no error."""
        with disk_refusals(FabricError, f"/{FOLDER} of the node"):
            for suffix in (_NEW, ""):
                self._path(container, suffix).unlink(missing_ok=True)

    def containers(self) -> frozenset[str]:
        """The ids of pods' sandboxes of which there is a file, readable or not."""
        names = (path.name.removesuffix(_NEW) for path in self._folder.glob(f"{_PREFIX}*"))
        return frozenset(
            name.removeprefix(_PREFIX).removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)
        )

    def _path(self, container: str, suffix: str = "") -> Path:
        return self._folder / f"{_PREFIX}{container}{_SUFFIX}{suffix}"

    def _document(self, result: Result, container: str) -> dict[str, Any]:
        """Keys in the order of CNI's library, those of the result in that of their names."""
        device = {"mac": result.mac, "mtu": result.mtu, "name": result.device}
        return {
            "kind": "cniCacheV1",
            "containerId": container,
            "config": self._config,
            "ifName": DEVICE,
            "networkName": NETWORK,
            "cniArgs": [
                ["IgnoreUnknown", "1"],
                ["K8S_POD_NAMESPACE", result.namespace],
                ["K8S_POD_NAME", result.pod],
                ["K8S_POD_INFRA_CONTAINER_ID", container],
                ["K8S_POD_UID", result.uid],
            ],
            "result": {
                "cniVersion": CNI_VERSION,
                "dns": {},
                "interfaces": [device],
                "ips": [
                    {"address": f"{ip}/{ip.max_prefixlen}", "version": str(ip.version)} for ip in result.ips
                ],
            },
        }


def _read(doc: dict[str, Any]) -> Result:
    arguments = dict(doc["cniArgs"])
    namespace, pod, uid = (arguments[f"K8S_POD_{name}"] for name in ("NAMESPACE", "NAME", "UID"))
    (device,) = doc["result"]["interfaces"]
    texts = all(isinstance(text, str) and text for text in (namespace, pod, uid, device["name"]))
    ips = tuple(ip_interface(str(ip["address"])).ip for ip in doc["result"]["ips"])
    if not texts or not ips:
        raise ValueError("no result of an ADD")
    return Result(namespace, pod, uid, ips, int(device["mtu"]), str(device["mac"]), device["name"])
