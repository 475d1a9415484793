"""The answers that Linux gives in a rule's or a route's name to a packet that it refuses."""

from __future__ import annotations

from fabric.kernel.fake_netfilter.packets import ICMP, ICMPV6, TCP, Packet
from fabric.kernel.fake_netfilter.routing import Routing, is_multicast
from fabric.kernel.fake_netfilter.skb import FLAG_BITS, Skb
from fabric.netstate.rules import Family

_MESSAGES = {
    "icmp-net-unreachable": (3, 0),
    "icmp-host-unreachable": (3, 1),
    "icmp-proto-unreachable": (3, 2),
    "icmp-port-unreachable": (3, 3),
    "icmp-net-prohibited": (3, 9),
    "icmp-host-prohibited": (3, 10),
    "icmp-admin-prohibited": (3, 13),
    "icmp6-no-route": (1, 0),
    "icmp6-adm-prohibited": (1, 1),
    "icmp6-addr-unreachable": (1, 3),
    "icmp6-port-unreachable": (1, 4),
    "icmp6-policy-fail": (1, 5),
    "icmp6-reject-route": (1, 6),
}
"""The type and code of each ICMP answer."""
OF_ROUTES = frozenset({"none", "unreachable", "prohibit"})
_OF_ROUTES: dict[Family, dict[str, str]] = {
    4: {
        "none": "icmp-net-unreachable",
        "unreachable": "icmp-host-unreachable",
        "prohibit": "icmp-admin-prohibited",
    },
    6: {"none": "icmp6-no-route", "unreachable": "icmp6-no-route", "prohibit": "icmp6-adm-prohibited"},
}


def of_route(kind: str, family: Family) -> str:
    """Return the answer to a packet whose route is of a kind that leads nowhere."""
    return _OF_ROUTES[family][kind]


def packet_of(name: str, refused: Skb, routing: Routing) -> Packet | None:
    """Return the answer as it is sent; None where Linux stays silent, as it does to errors and resets."""
    found = routing.lookup(refused.family, refused.destination)
    is_to_many = is_multicast(refused.family, refused.destination) or (
        found is not None and found.type == "broadcast"
    )
    if is_to_many or is_multicast(refused.family, refused.source) or not refused.source:
        return None
    if name == "tcp-reset":
        return _reset(refused)
    return None if refused.is_icmp_error else _error(name, refused, routing)


def _reset(refused: Skb) -> Packet | None:
    if refused.protocol != TCP or refused.flags & FLAG_BITS["RST"]:
        return None
    flags = {"RST"} if refused.flags & FLAG_BITS["ACK"] else {"RST", "ACK"}
    return Packet(
        refused.address(refused.destination),
        refused.address(refused.source),
        TCP,
        refused.destination_port,
        refused.source_port,
        flags=frozenset(flags),
    )


def _error(name: str, refused: Skb, routing: Routing) -> Packet | None:
    kind, code = _MESSAGES[name]
    sender = _sender(refused, routing)
    if sender is None:
        return None
    return Packet(
        refused.address(sender),
        refused.address(refused.source),
        ICMP if refused.family == 4 else ICMPV6,
        icmp_type=kind,
        icmp_code=code,
        flags=frozenset(),
        inner=refused.packet(),
    )


def _sender(refused: Skb, routing: Routing) -> int | None:
    """Return the address that the error comes from: the refused destination where that is the namespace's."""
    to = routing.lookup(refused.family, refused.destination)
    if to is not None and to.type == "local" and not refused.out_interface:
        return refused.destination
    back = routing.lookup(refused.family, refused.source)
    if back is None or back.type != "unicast":
        return refused.source if back is not None and back.type == "local" else None
    towards = refused.source if back.via is None else back.via
    return back.source or routing.source_over(refused.family, back.device, towards)
