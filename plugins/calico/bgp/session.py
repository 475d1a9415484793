"""A BGP session as a block of bird.cfg, and the templates that sessions share.

The usual session, with a node of the same AS, says nothing but who the peer is: the rest is the template's.
Blocks are kept, because the same peer stands in the file of every other node.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Literal

from calico.bgp import exports, peers
from calico.bgp.peers import FAMILIES, Peer, Speaker
from fabric.bird.bgp import PORT, Address, Bgp, BgpChannel, BgpOptions, BgpTemplate, WrittenBgp
from fabric.bird.language import statements
from fabric.netstate.objects import Family

KEPT = 4096
"""Blocks: two for each node of a large mesh, which dials or is dialled."""


CHANNELS: Mapping[Family, Literal["ipv4", "ipv6"]] = {4: "ipv4", 6: "ipv6"}


@dataclass(frozen=True, slots=True)
class Calls:
    """The filters that a session asks, as statements, the first one first."""

    on_import: tuple[str, ...] = ()
    on_export: tuple[str, ...] = ()


def templates(
    me: Speaker, common: Calls, *, binds_strictly: bool, anywhere: Container[Family]
) -> Iterator[BgpTemplate]:
    """The node's templates, one for each family that it has, and for `anywhere` one without an address.

    `common`: what every session asks, with or without filters of its own.
    """
    for family in FAMILIES:
        own = me.address(family)
        if own is not None:
            yield _template(me, family, own, common, binds_strictly=binds_strictly)
            if family in anywhere:
                yield _template(me, family, None, common, binds_strictly=False)


@lru_cache(maxsize=KEPT)
def session(
    peer: Peer, own_as: int, cluster_id: str, password: str, calls: Calls, common: Calls
) -> WrittenBgp:
    """The block of one session of a node with this AS number and (where it reflects) cluster id.

    `calls` are what this session asks, `common` what its template says. Unwritable when the password cannot
    stand in bird.cfg.
    """
    asked = peer.options
    reflects = _reflects(peer, cluster_id)
    options = BgpOptions(
        local_as=peer.local_as if peer.local_as != own_as else None,
        multihop=asked.ttl_hops,
        ttl_security=True if asked.ttl_hops else None,
        passive=True if peer.passive else None,
        password=password,
        rr_client=True if reflects else None,
        rr_cluster_id=reflects,
        # `graceful restart time 0` leaves the peer to a timer of a second, and to an error besides.
        graceful_restart="aware" if asked.restart_seconds == 0 else None,
        graceful_restart_seconds=asked.restart_seconds or None,
        keepalive_seconds=asked.keepalive_seconds,
        hold_seconds=_hold_seconds(asked.keepalive_seconds),
        allow_local_as=asked.allow_local_as or None,
    )
    found = Bgp(
        peer.name,
        peer.address,
        peer.as_number,
        peer.port or None,
        template=_template_name(peer.family, bound=asked.binds_address),
        options=options,
        channels=_channels(peer, calls, common),
    )
    return WrittenBgp.of(found)


def _channels(peer: Peer, calls: Calls, common: Calls) -> tuple[BgpChannel, ...]:
    """The session's own channel, where it differs from its template's."""
    keeps = peer.options.next_hop == "keep" or (peer.options.keep_external_next_hop and not peer.is_internal)
    next_hop: Literal["self", "keep"] | None = "keep" if keeps else None
    if peer.options.next_hop == "self":
        next_hop = "self"
    import_ = _import(calls) if calls.on_import != common.on_import else None
    export = None
    if calls.on_export != common.on_export or not peer.is_internal:
        export = _export(calls, is_internal=peer.is_internal)
    if import_ is export is next_hop is None:
        return ()
    return (BgpChannel(CHANNELS[peer.family], import_=import_, export=export, next_hop=next_hop),)


def _template(
    me: Speaker, family: Family, own: Address | None, calls: Calls, *, binds_strictly: bool
) -> BgpTemplate:
    options = BgpOptions(
        description="Connection to BGP peer",
        local_as=me.as_number,
        local_address=own,
        local_port=me.port if me.port != PORT else None,
        multihop=True,
        graceful_restart=True,
        long_lived_graceful_restart="aware",
        connect_delay_seconds=peers.CONNECT_DELAY_SECONDS,
        connect_retry_seconds=peers.CONNECT_RETRY_SECONDS,
        error_wait_seconds=peers.ERROR_WAIT_SECONDS,
        extra=("strict bind on",) if binds_strictly else (),
    )
    channel = BgpChannel(
        CHANNELS[family],
        import_=_import(calls),
        export=_export(calls, is_internal=True),
        gateway="recursive",
        add_paths="on",
    )
    return BgpTemplate(_template_name(family, bound=own is not None), options, (channel,))


def _import(calls: Calls) -> str:
    return statements("\n".join((*calls.on_import, "accept;"))) if calls.on_import else "all"


def _export(calls: Calls, *, is_internal: bool) -> str:
    lines = (*calls.on_export, f"{exports.TO_PEERS}({str(is_internal).lower()});", "reject;")
    return statements("\n".join(lines))


def _reflects(peer: Peer, cluster_id: str) -> IPv4Address | None:
    """The cluster id of a reflector toward its clients: peers of its AS that are not of its own cluster."""
    if not cluster_id or not peer.is_internal or peer.cluster_id == cluster_id:
        return None
    try:
        return IPv4Address(cluster_id)
    except ValueError:
        return None


def _hold_seconds(keepalive: int | None) -> int | None:
    return None if keepalive is None else peers.HOLD_PER_KEEPALIVE * keepalive


def _template_name(family: Family, *, bound: bool) -> str:
    return "bgp_template" + ("" if family == 4 else "_v6") + ("" if bound else "_anywhere")
