"""BGPPeer: who speaks BGP with whom beyond the mesh.

The local side is one node, the nodes of a selector, or (neither) all; the remote side is an address with its
AS number, or the nodes of a peer selector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, ClassVar

from calico.resources import crds, readers
from calico.resources.envelope import Resource
from calico.resources.fields import key, rest
from calico.resources.readers import (
    address,
    choice,
    document_of,
    duration,
    flag,
    listed,
    number,
    selector,
    text,
)
from calico.resources.refusals import Refusal
from fabric.netstate.objects import IPAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class BGPPeerSpec:
    node: str = key("node", text, default="")
    node_selector: str = key("nodeSelector", selector, default="")
    peer_ip: str = key("peerIP", text, default="")
    """An address, or with a port `192.0.2.1:179`, `[2001:db8::1]:179`."""
    as_number: int | None = key("asNumber", readers.as_number, default=None)
    peer_selector: str = key("peerSelector", selector, default="")
    local_as_number: int | None = key("localASNumber", readers.as_number, default=None)
    keep_original_next_hop: bool = key("keepOriginalNextHop", flag, default=False)
    next_hop_mode: str | None = key("nextHopMode", choice("Auto", "Self", "Keep"), default=None)
    password: Mapping[str, Any] | None = key("password", document_of, default=None)
    """`{"secretKeyRef": {"name": …, "key": …}}`."""
    source_address: str = key("sourceAddress", choice("UseNodeIP", "None"), default="UseNodeIP")
    max_restart_time: str | None = key("maxRestartTime", duration, default=None)
    keepalive_time: str | None = key("keepaliveTime", duration, default=None)
    num_allowed_local_as_numbers: int | None = key("numAllowedLocalASNumbers", number(0, 255), default=None)
    ttl_security: int | None = key("ttlSecurity", number(1, 255), default=None)
    reachable_by: IPAddress | None = key("reachableBy", address, default=None)
    filters: tuple[str, ...] = key("filters", listed(text), default=())
    reverse_peering: str | None = key("reversePeering", choice("Auto", "Manual"), default=None)
    rest: Mapping[str, Any] = rest(crds.fields_of("BGPPeer"))


@dataclass(frozen=True, slots=True, kw_only=True)
class BGPPeer(Resource):
    KIND: ClassVar[str] = "BGPPeer"
    SPEC: ClassVar[type] = BGPPeerSpec

    spec: BGPPeerSpec

    def refusals(self) -> list[Refusal]:
        return [*self._local(), *self._remote()]

    def _local(self) -> Iterator[Refusal]:
        spec = self.spec
        if spec.node and spec.node_selector:
            reason = "Node field must be empty when NodeSelector is specified"
            yield Refusal("spec.node", reason, spec.node)

    def _remote(self) -> Iterator[Refusal]:
        spec = self.spec
        if spec.rest.get("localWorkloadSelector"):
            reason = "{} field must be empty when LocalWorkloadSelector is specified"
            if spec.peer_ip:
                yield Refusal("spec.peerIP", reason.format("PeerIP"), spec.peer_ip)
            if spec.peer_selector:
                yield Refusal("spec.peerSelector", reason.format("PeerSelector"), spec.peer_selector)
            return
        if spec.peer_selector:
            reason = "{} field must be empty when PeerSelector is specified"
            if spec.peer_ip:
                yield Refusal("spec.peerIP", reason.format("PeerIP"), spec.peer_ip)
            if spec.as_number:
                yield Refusal("spec.asNumber", reason.format("ASNumber"), spec.as_number)
            return
        if not spec.peer_ip:
            yield Refusal("spec.peerIP", "PeerIP or PeerSelector must be specified")
        elif peer_endpoint(spec.peer_ip) is None:
            reason = "must be an IP address that is not link-local, 192.0.2.1:179 or [2001:db8::1]:179"
            yield Refusal("spec.peerIP", reason, spec.peer_ip)
        if not spec.as_number:
            reason = f"ASNumber must be specified with PeerIP, between 1 and {2**32 - 1}"
            yield Refusal("spec.asNumber", reason, spec.as_number)


def peer_endpoint(peer_ip: str) -> tuple[IPAddress, int] | None:
    """The address and port that `peerIP` means (port 0: the one the peers listen on), or None.

    A link-local address needs its interface, which a BGPPeer has no field for.
    """
    host, port = peer_ip, "0"
    if peer_ip.startswith("["):
        host, _, port = peer_ip[1:].partition("]:")
    elif peer_ip.count(":") == 1:
        host, _, port = peer_ip.partition(":")
    try:
        address_ = ip_address(host)
    except ValueError:
        return None
    is_port = port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) < 1 << 16
    return (address_, int(port)) if is_port and not address_.is_link_local else None
