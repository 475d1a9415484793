"""The files that Calico installs on a node beside its daemons' own, for tools that look there.

/etc/cni/net.d/10-calico.conflist   what a container runtime reads first (Canal: 10-canal.conflist)
/etc/cni/net.d/calico-kubeconfig    how the CNI plugin finds the API server
/var/lib/calico/nodename, mtu       what calico-node tells the CNI plugin

BIRD reads /etc/calico/confd/config/bird.cfg, where confd writes it, and has its socket in /run/calico.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from fabric.bird.daemon import Daemon
from fabric.errors import FabricError, disk_refusals
from fabric.netstate.objects import IPNetwork

CNI_VERSION = "0.3.1"
NETWORK = "k8s-pod-network"
_FOLDER = "etc/cni/net.d"
FOLDERS = ("etc/calico", "var/lib/calico")
"""What a node has of its own for Calico, beside what every node has."""
_KUBECONFIG = """\
# Kubeconfig file for Calico CNI plugin.
apiVersion: v1
kind: Config
clusters:
- name: local
  cluster:
    server: https://{server}:443
users:
- name: calico
  user: {{}}
contexts:
- name: calico-context
  context:
    cluster: local
    user: calico
current-context: calico-context
"""


def conflist(node: str, mtu: int, *, own_addresses: bool) -> str:
    """The CNI configuration, as Calico's manifest has it; `own_addresses` are those of Calico's IPAM.

    An MTU of 0 is found out from the underlay.
    """
    ipam = {"type": "calico-ipam"} if own_addresses else {"type": "host-local", "subnet": "usePodCidr"}
    calico = {
        "type": "calico",
        "log_level": "info",
        "log_file_path": "/var/log/calico/cni/cni.log",
        "datastore_type": "kubernetes",
        "nodename": node,
        "mtu": mtu,
        "ipam": ipam,
        "policy": {"type": "k8s"},
        "kubernetes": {"kubeconfig": f"/{_FOLDER}/calico-kubeconfig"},
    }
    portmap = {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}}
    doc = {"name": NETWORK, "cniVersion": CNI_VERSION, "plugins": [calico, portmap]}
    return json.dumps(doc, indent=2) + "\n"


def bird(root: Path) -> Daemon:
    """The files of a node's BIRD; `root`: the node's private files."""
    top, folder, config = Path("/"), Path("run/calico"), Path("etc/calico/confd/config/bird.cfg")
    return Daemon(root / folder, top / folder, root / config, top / config)


class NodeFiles:
    """The files of one node."""

    def __init__(self, root: Path, node: str, service_cidr: IPNetwork | None, configured: str) -> None:
        """`root`: the node's private files; `configured`: its conflist, which says whether Canal runs."""
        self._root = root
        self._node = node
        self._server = service_cidr.network_address + 1 if service_cidr is not None else "kubernetes.default"
        self._conflist = configured
        self._name = "10-calico" if "calico-ipam" in configured else "10-canal"
        self._installed: Mapping[str, str] = {}

    def install(self, mtu: int) -> None:
        """Write what is not there or differs from the last time; FabricError when it cannot be written."""
        wanted = {
            f"{_FOLDER}/{self._name}.conflist": self._conflist,
            f"{_FOLDER}/calico-kubeconfig": _KUBECONFIG.format(server=self._server),
            "var/lib/calico/nodename": self._node,
            "var/lib/calico/mtu": str(mtu),
        }
        if wanted == self._installed:
            return
        with disk_refusals(FabricError, f"/{_FOLDER} and /var/lib/calico of the node"):
            for path, text in wanted.items():
                file = self._root / path
                file.parent.mkdir(parents=True, exist_ok=True)
                fresh = file.with_name(f".{file.name}.new")
                fresh.write_text(text)
                fresh.replace(file)
        self._installed = wanted
