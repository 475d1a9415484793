"""The names of protocols as iptables and ipset print them; a protocol may be given by its number too."""

from __future__ import annotations

from fabric.kernel.fake_netfilter.packets import UnknownRule

_NUMBERS = {
    "icmp": 1,
    "igmp": 2,
    "ipencap": 4,
    "tcp": 6,
    "udp": 17,
    "dccp": 33,
    "ipv6": 41,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmpv6": 58,
    "ipv6-icmp": 58,
    "ospf": 89,
    "ipip": 94,
    "sctp": 132,
    "udplite": 136,
}


def protocol_number(name: str) -> int | None:
    """Return the number of a protocol, or None for all of them."""
    if name in ("all", "0"):
        return None
    if name in _NUMBERS:
        return _NUMBERS[name]
    if name.isdecimal() and int(name) < 256:
        return int(name)
    raise UnknownRule(f"protocol {name!r} is not known to the model: give its number")
