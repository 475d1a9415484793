"""A BGP session of a node as data: its peer, and the options that resources give it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from calico.resources.bgp_peers import BGPPeerSpec
from calico.resources.nodes import Node
from calico.resources.notation import seconds_of
from fabric.bird.bgp import PORT
from fabric.netstate.objects import Family, IPAddress, IPInterface

FAMILIES: tuple[Family, ...] = (4, 6)
Kind = Literal["Mesh", "Global", "Node"]
"""Where a session comes from: the mesh, a BGPPeer for all nodes, or one for some."""


SECRETS_NAMESPACE = "kube-system"
"""The namespace of calico-node, which is the one it reads Secrets of."""

CONNECT_DELAY_SECONDS = 1
"""From a session's start to its first call. BIRD takes no less than 1; Calico has 2."""

CONNECT_RETRY_SECONDS = 1
"""Between two calls that nobody answers. Birds of a cluster start one after another, and whoever dials one
that is not there yet waits this long; Calico has 5, for networks where a call costs something."""

ERROR_WAIT_SECONDS = (1, 5)
"""After a session failed, doubling from the first to the second. A peer hangs up on whom its configuration
does not know yet, which lasts no longer than a node is new; Calico has (5, 30)."""

RESTART_WAIT_SECONDS = 20
"""How long a BIRD that was started again waits for its peers' routes before it announces its own and cleans
the kernel's table. One dead peer makes it wait this long, and the others keep its routes for 120 s only, so
that BIRD's own 240 s would cut it off."""

HOLD_PER_KEEPALIVE = 3
"""Keepalives that may be lost before a peer is taken for dead (RFC 4271, 10)."""

HOLD_SECONDS_MAX = 65535
RESTART_SECONDS_MAX = 4095
"""What the fields of BGP's messages hold (RFC 4271, 4.2, and RFC 4724, 3): 16 bits, and 12."""


class SecretRef(NamedTuple):
    """A password's place: a key of a Secret in `SECRETS_NAMESPACE`."""

    name: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """The options that a BGPPeer, or the mesh's part of a BGPConfiguration, gives its sessions."""

    password: SecretRef | None = None
    binds_address: bool = True
    """The session is from the node's own address, and from no other."""
    restart_seconds: int | None = None
    keepalive_seconds: int | None = None
    local_as: int | None = None
    allow_local_as: int | None = None
    ttl_hops: int | None = None
    next_hop: Literal["", "self", "keep"] = ""
    keep_external_next_hop: bool = False
    reachable_by: IPAddress | None = None
    filters: tuple[str, ...] = ()
    """Names of BGPFilters, in the order in which they are asked."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """A node of the cluster that speaks BGP."""

    name: str
    ipv4: IPInterface | None
    ipv6: IPInterface | None
    as_number: int
    cluster_id: str = ""
    """Where it is a route reflector."""
    port: int = PORT

    def address(self, family: Family) -> IPAddress | None:
        found = self.ipv4 if family == 4 else self.ipv6
        return found.ip if found is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The other end of a session, as this node sees it."""

    kind: Kind
    address: IPAddress
    as_number: int
    local_as: int
    """The AS number that this node has toward the peer."""
    port: int = 0
    """0: the usual one, and no part of the name."""
    passive: bool = False
    cluster_id: str = ""
    """The peer's, where it is a node that reflects."""
    options: SessionOptions = SessionOptions()

    @property
    def name(self) -> str:
        """`Mesh_192_168_0_12`, `Node_192_0_2_1_port_1790`: Calico's name of the session."""
        address = str(self.address).replace(".", "_").replace(":", "_")
        port = f"_port_{self.port}" if self.port and self.kind != "Mesh" else ""
        return f"{self.kind}_{address}{port}"

    @property
    def family(self) -> Family:
        return 4 if self.address.version == 4 else 6

    @property
    def is_internal(self) -> bool:
        return self.as_number == self.local_as


def speaker(node: Node, as_number: int, port: int) -> Speaker | None:
    """The node as a speaker, its own AS number before the cluster's; None where it takes no part in BGP.

    A link-local address is none that others can dial: it says nothing of the link.
    """
    bgp = node.spec.bgp
    if bgp is None:
        return None
    ipv4, ipv6 = (
        it if it is not None and not it.ip.is_link_local else None
        for it in (bgp.ipv4_address, bgp.ipv6_address)
    )
    if ipv4 is None and ipv6 is None:
        return None
    return Speaker(
        node.name,
        ipv4,
        ipv6,
        bgp.as_number or as_number,
        bgp.route_reflector_cluster_id,
        port,
    )


def dials(own: IPAddress, other: IPAddress) -> bool:
    """True where, of two nodes, the one at `own` is to call the other.

    Exactly one of them does: of two that both call, one call is thrown away. It is the one whose address is
    greater as text, which is Calico's rule for the mesh, taken here for every pair of nodes.
    """
    return str(other) < str(own)


def session_options(spec: BGPPeerSpec) -> SessionOptions:
    """The options in a BGPPeer's spec."""
    return SessionOptions(
        password=secret_ref(spec.password),
        binds_address=spec.source_address != "None",
        restart_seconds=restart_seconds(spec.max_restart_time),
        keepalive_seconds=_keepalive_seconds(spec.keepalive_time),
        local_as=spec.local_as_number,
        allow_local_as=spec.num_allowed_local_as_numbers,
        ttl_hops=spec.ttl_security,
        next_hop=_NEXT_HOPS[spec.next_hop_mode or "Auto"],
        keep_external_next_hop=spec.keep_original_next_hop,
        reachable_by=spec.reachable_by,
        filters=spec.filters,
    )


def secret_ref(password: Mapping[str, Any] | None) -> SecretRef | None:
    """`{"secretKeyRef": {"name": …, "key": …}}`; an empty one where it names nothing, which no Secret has."""
    if not password:
        return None
    ref = password.get("secretKeyRef")
    ref = ref if isinstance(ref, Mapping) else {}
    return SecretRef(str(ref.get("name", "")), str(ref.get("key", "")))


@lru_cache(maxsize=256)
def restart_seconds(duration: str | None) -> int | None:
    """Seconds, halves rounded up; no more than BGP can say."""
    return None if duration is None else min(_rounded(duration), RESTART_SECONDS_MAX)


@lru_cache(maxsize=256)
def _keepalive_seconds(duration: str | None) -> int | None:
    most = HOLD_SECONDS_MAX // HOLD_PER_KEEPALIVE
    return min(max(1, _rounded(duration)), most) if duration else None


def _rounded(duration: str) -> int:
    return math.floor(seconds_of(duration) + 0.5)


_NEXT_HOPS: Mapping[str, Literal["", "self", "keep"]] = {"Auto": "", "Self": "self", "Keep": "keep"}
