"""Attaching pods as flannel's CNI plugin, bridge and host-local do together: a veth into cni0.

A pod's packet goes out of eth0, over the veth, into cni0, which is its gateway (.1 of the node's
subnet); the bridge passes it to a neighbour pod, or the node routes it. `attachment` is pure: names and MACs
follow from the pod's UID and address, so that CHECK says the same for ever.
"""

from __future__ import annotations

import hashlib
import json
import os
from ipaddress import ip_interface, ip_network
from pathlib import Path

from fabric.errors import FabricError, disk_refusals
from fabric.netstate.objects import (
    Address,
    Bridge,
    IPAddress,
    IPInterface,
    LinkMac,
    LinkMtu,
    LinkUp,
    NetObject,
    NetState,
    Route,
    Sysctl,
    Veth,
)
from fabric.plugin.contract import Attachment, PodRef
from fabric.plugin.host_local import HostLocal
from flannel import subnet_env
from flannel.subnet_env import SubnetEnv

BRIDGE = "cni0"
NETWORK = "cbr0"
FORWARDING = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}
DATA_DIR = Path("var/lib/cni/flannel")
CONFLIST = Path("etc/cni/net.d/10-flannel.conflist")


def node_state(env: SubnetEnv) -> NetState:
    """The bridge that pods hang on, with their gateway's addresses; and the node forwards."""
    # With a MAC of its own the bridge keeps it; else it would take its lowest port's, another as pods come.
    bridge = Bridge(BRIDGE, mtu=env.mtu, mac=mac_of(env.gateways[0].ip))
    addresses = (Address(gateway, BRIDGE) for gateway in env.gateways)
    forwarding = (Sysctl(FORWARDING[gateway.version], "1") for gateway in env.gateways)
    return frozenset((bridge, *addresses, *forwarding))


def attachment(pod: PodRef, env: SubnetEnv, addresses: tuple[IPAddress, ...]) -> Attachment:
    """Return how the pod with these addresses (one per subnet of the node) hangs on its node."""
    ips = tuple(
        ip_interface((address, gateway.network.prefixlen))
        for address, gateway in zip(addresses, env.gateways, strict=True)
    )
    veth = Veth(
        name=veth_name(pod.uid),
        peer=pod.device,
        peer_ns=pod.netns,
        mtu=env.mtu,
        peer_mac=mac_of(addresses[0]),
        master=BRIDGE,
        hairpin=True,
    )
    return Attachment(
        ips=ips,
        gateways=tuple(gateway.ip for gateway in env.gateways),
        mtu=env.mtu,
        node=frozenset((veth,)),
        pod=frozenset((LinkUp("lo"), *_pod_state(pod.device, env, ips))),
    )


def veth_name(uid: str) -> str:
    """`veth` and 8 hex digits, as bridge names its host ends; here they follow from the pod's UID."""
    return "veth" + hashlib.sha256(uid.encode()).hexdigest()[:8]


def mac_of(address: IPAddress) -> str:
    """0a:58 and the last four bytes of the address: unique in the cluster, the same whenever it is computed.

    Kubernetes' bridge plugins made MACs so; a neighbour's old ARP entry for a reused address stays right.
    """
    return ":".join(f"{byte:02x}" for byte in b"\x0a\x58" + address.packed[-4:])


def conflist() -> str:
    """/etc/cni/net.d/10-flannel.conflist, as kube-flannel installs it."""
    delegate = {"hairpinMode": True, "isDefaultGateway": True}
    plugins = [
        {"type": "flannel", "delegate": delegate},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    doc = {"name": NETWORK, "cniVersion": "0.3.1", "plugins": plugins}
    return json.dumps(doc, indent=2) + "\n"


def delegate_config(env: SubnetEnv) -> str:
    """Return the configuration that flannel's CNI plugin hands to bridge, and keeps until DEL."""
    ranges = [[{"subnet": str(subnet)}] for subnet in env.subnets]
    doc = {
        "cniVersion": "0.3.1",
        "hairpinMode": True,
        "ipMasq": not env.ip_masq,
        "ipam": {
            "ranges": ranges,
            "routes": [{"dst": str(network)} for network in env.networks],
            "type": "host-local",
        },
        "isDefaultGateway": True,
        "isGateway": True,
        "mtu": env.mtu,
        "name": NETWORK,
        "type": "bridge",
    }
    return json.dumps(doc, separators=(",", ":"))


class Cni:
    """ADD, CHECK, DEL and GC of one node, over the node's own files. Works while flanneld is down."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._addresses = HostLocal(root, NETWORK)
        self._env: SubnetEnv | None = subnet_env.read(root)

    def install(self, env: SubnetEnv, *, configured: bool = True) -> None:
        """Write subnet.env: from here on pods can be attached. `configured` by flannel's conflist, too."""
        path = self._root / CONFLIST
        with disk_refusals(FabricError, "the node's CNI files"):
            if configured and (not path.exists() or path.read_text() != conflist()):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(conflist())
            subnet_env.write(self._root, env)
        self._env = env

    def add(self, pod: PodRef) -> Attachment:
        """Allocate, or find what was; FabricError without subnet.env, or when no address is left."""
        if self._env is None:
            raise FabricError("flannel is not up on this node yet: /run/flannel/subnet.env is not written")
        with disk_refusals(FabricError, "the node's CNI files"):
            self._remember(pod.uid, self._env)
            addresses = self._addresses.allocate(pod.uid, pod.device, self._env.subnets)
        return attachment(pod, self._env, addresses)

    def check(self, pod: PodRef) -> Attachment | None:
        """Return what must be for the pod; None when it has no address in the node's present subnet."""
        if self._env is None:
            return None
        addresses = self._addresses.addresses(pod.uid, self._env.subnets)
        return attachment(pod, self._env, addresses) if addresses else None

    def delete(self, uid: str) -> None:
        """Release everything of the pod; nothing is no error."""
        with disk_refusals(FabricError, "the node's CNI files"):
            self._addresses.release(uid)
            (self._root / DATA_DIR / uid).unlink(missing_ok=True)

    def collect(self, alive: frozenset[str]) -> None:
        """Release everything of pods that are not in `alive`."""
        directory = self._root / DATA_DIR
        known = {path.name for path in directory.iterdir()} if directory.is_dir() else set()
        for uid in (self._addresses.owners() | known) - alive:
            self.delete(uid)

    def _remember(self, uid: str, env: SubnetEnv) -> None:
        """Keep what bridge would have been told, as flannel's plugin does until DEL."""
        path = self._root / DATA_DIR / uid
        try:
            fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._remember(uid, env)
            return
        try:
            os.write(fd, delegate_config(env).encode())
        finally:
            os.close(fd)


def _pod_state(device: str, env: SubnetEnv, ips: tuple[IPInterface, ...]) -> tuple[NetObject, ...]:
    objects: list[NetObject] = [LinkUp(device), LinkMtu(device, env.mtu), LinkMac(device, mac_of(ips[0].ip))]
    for ip, gateway, network in zip(ips, env.gateways, env.networks, strict=True):
        everywhere = ip_network("0.0.0.0/0" if ip.version == 4 else "::/0")
        objects += [
            Address(ip, device),
            Route(everywhere, via=gateway.ip, dev=device),
            Route(network, via=gateway.ip, dev=device),
        ]
    return tuple(objects)
