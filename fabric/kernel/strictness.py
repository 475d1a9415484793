"""The strictness of Linux: the steps that it would refuse, as one pure function for each kind of object.

Each raises OSError with the errno that Linux gives. The fake kernel asks before it takes a step, so that
a plan in a wrong order fails in a unit test as it would on a node. Only what the step concerns is looked at.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Hashable, Iterable

from fabric.kernel.fake_objects import Objects, chain_key, rules_of, set_names, targets
from fabric.netstate.objects import (
    Address,
    Bridge,
    FdbEntry,
    IPAddress,
    Ipip,
    Link,
    LinkMac,
    LinkMtu,
    LinkUp,
    Neighbor,
    NetObject,
    NextHop,
    Qdisc,
    Route,
    Sysctl,
    Tun,
    Veth,
    Vxlan,
)
from fabric.netstate.rules import Chain, IpSet, Jump, Table

NAME_LENGTH_MAX = 15
MTU_MIN, MTU_MAX = 68, 65535
CHAIN_LENGTH_MAX = 28
SET_LENGTH_MAX = 31
BUILT_IN: dict[Table, set[str]] = {
    "filter": {"INPUT", "FORWARD", "OUTPUT"},
    "nat": {"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"},
    "mangle": {"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"},
    "raw": {"PREROUTING", "OUTPUT"},
}
TARGETS = frozenset(
    re.findall(
        r"\S+",
        """
        ACCEPT DROP RETURN QUEUE AUDIT CHECKSUM CLASSIFY CONNMARK CT DNAT DNPT DSCP ECN HL LOG MARK MASQUERADE
        NETMAP NFLOG NFQUEUE NOTRACK REDIRECT REJECT SET SNAT SNPT SYNPROXY TCPMSS TCPOPTSTRIP TEE TOS TPROXY
        TRACE TTL
        """,
    )
)


def refuse(number: int) -> None:
    """Raise the OSError of that errno."""
    raise OSError(number, os.strerror(number))


def check(obj: NetObject, there: Objects) -> None:
    """Raise what Linux would answer to putting `obj` among those that are there."""
    match obj:
        case Bridge() | Veth() | Vxlan() | Ipip() | Tun():
            _check_link(obj, there)
        case LinkUp(dev=dev) | Neighbor(dev=dev) | FdbEntry(dev=dev):
            _check_device(dev, there)
            if isinstance(obj, FdbEntry) and not isinstance(there.link(dev), Vxlan):
                refuse(errno.EOPNOTSUPP)
        case LinkMtu(dev=dev, mtu=mtu):
            _check_device(dev, there)
            if dev != "lo" and not MTU_MIN <= mtu <= MTU_MAX:
                refuse(errno.EINVAL)
        case LinkMac(dev=dev, mac=mac):
            _check_device(dev, there)
            if isinstance(there.link(dev), Ipip | Tun):
                refuse(errno.EOPNOTSUPP)
            if int(mac[:2], 16) & 1:
                refuse(errno.EADDRNOTAVAIL)
        case Address(dev=dev):
            _check_device(dev, there)
            if obj.address.version == 6 and _ipv6_is_off(dev, there):
                refuse(errno.EACCES)
        case Qdisc(dev=dev):
            _check_device(dev, there)
            if obj.kind != "netem" and not (obj.rate and obj.burst):
                refuse(errno.EINVAL)
        case Sysctl(path=path):
            _check_sysctl(path, there)
        case Route():
            _check_route(obj, there)
        case IpSet():
            _check_set(obj, there)


def check_rules(touched: Iterable[NetObject], there: Objects) -> None:
    """Raise what Linux would answer at the end of a transaction in which these came, changed or went."""
    left = [(it, there.get(it.key)) for it in touched]
    for it, now in left:
        if now is None and isinstance(it, Chain) and there.referring_to(it.key):
            refuse(errno.ENOENT)
        if isinstance(now, Chain | Jump):
            _check_rules_of(now, there)
    for it, now in left:
        if now is not None:
            _refuse_loops(it.key, there)


def _check_rules_of(obj: Chain | Jump, there: Objects) -> None:
    if isinstance(obj, Chain) and len(obj.name) > CHAIN_LENGTH_MAX:
        refuse(errno.EINVAL)
    if isinstance(obj, Jump) and obj.chain not in BUILT_IN[obj.table]:
        refuse(errno.ENOENT)
    for rule in rules_of(obj):
        for target in targets(rule):
            if target not in TARGETS and chain_key(obj.family, obj.table, target) not in there:
                refuse(errno.ENOENT)
        for name in set_names(rule):
            named = there.get(IpSet(name).key)
            if not isinstance(named, IpSet):
                refuse(errno.ENOENT)
            elif named.family != obj.family:
                refuse(errno.EINVAL)


def _refuse_loops(start: Hashable, there: Objects) -> None:
    """Refuse rules that lead from a chain back to it."""
    done: set[Hashable] = set()

    def visit(key: Hashable, above: frozenset[Hashable]) -> None:
        if key in above:
            refuse(errno.ELOOP)
        obj = there.get(key)
        if key in done or not isinstance(obj, Chain):
            return
        for rule in rules_of(obj):
            for target in targets(rule):
                visit(chain_key(obj.family, obj.table, target), above | {key})
        done.add(key)

    visit(start, frozenset())


def _check_link(obj: Link, there: Objects) -> None:
    if not 0 < len(obj.name) <= NAME_LENGTH_MAX:
        refuse(errno.ERANGE)
    if isinstance(obj, Veth) and obj.master is not None:
        _check_device(obj.master, there)
        if not isinstance(there.link(obj.master), Bridge):
            refuse(errno.EOPNOTSUPP)
    if isinstance(obj, Vxlan):
        _check_device(obj.parent, there)
        for tunnel in there.of_kind(Vxlan):
            if (tunnel.vni, tunnel.port) == (obj.vni, obj.port) and tunnel.key != obj.key:
                refuse(errno.EEXIST)
    if isinstance(obj, Ipip):
        for other in there.of_kind(Ipip):
            if (other.local, other.remote) == (obj.local, obj.remote) and other.key != obj.key:
                refuse(errno.EEXIST)


def _check_device(dev: str, there: Objects) -> None:
    if dev != "lo" and there.link(dev) is None:
        refuse(errno.ENODEV)


def _check_sysctl(path: str, there: Objects) -> None:
    parts = path.split("/")
    if len(parts) == 5 and parts[2] in ("conf", "neigh") and parts[3] not in ("all", "default"):
        try:
            _check_device(parts[3], there)
        except OSError:
            refuse(errno.ENOENT)


def _check_set(obj: IpSet, there: Objects) -> None:
    if obj.type.startswith("list:") and any(IpSet(name).key not in there for name in obj.members):
        refuse(errno.ENOENT)
    if len(obj.name) > SET_LENGTH_MAX or (obj.type == "hash:net" and {"0.0.0.0/0", "::/0"} & obj.members):
        refuse(errno.EINVAL)


def _ipv6_is_off(dev: str, there: Objects) -> bool:
    paths = (f"net/ipv6/conf/{scope}/disable_ipv6" for scope in ("all", dev))
    return any(there.get(Sysctl(path, "1").key) == Sysctl(path, "1") for path in paths)


def _check_route(route: Route, there: Objects) -> None:
    if route.type != "unicast":
        return
    addresses = there.of_kind(Address)
    for leg in route.next_hops or (route,):
        _check_leg(leg, route, addresses, there)
    if route.src is not None and all(it.address.ip != route.src for it in addresses):
        refuse(errno.EINVAL)


def _check_leg(leg: Route | NextHop, route: Route, addresses: Iterable[Address], there: Objects) -> None:
    version = route.dst.version
    if leg.dev is not None:
        _check_device(leg.dev, there)
        if not is_up(leg.dev, there):
            refuse(errno.ENETDOWN)
    if leg.via is None and leg.dev is None:
        refuse(errno.EINVAL if version == 4 else errno.ENODEV)
    if leg.onlink and (leg.dev is None or (version == 4 and _has_no_ipv4(addresses, there))):
        refuse(errno.EINVAL)
    owners = [it.dev for it in addresses if it.address.ip == leg.via]
    if owners and (leg.onlink or version == 6):
        refuse(errno.EINVAL)
    if not all(is_up(dev, there) for dev in owners):
        refuse(errno.ENETDOWN)
    if leg.via is not None and not leg.onlink and device_towards(leg.via, leg.dev, there) is None:
        refuse(errno.ENETUNREACH if version == 4 else errno.EHOSTUNREACH)


def _has_no_ipv4(addresses: Iterable[Address], there: Objects) -> bool:
    """True before the first IPv4 address: Linux has no table of local ones then, and trusts no gateway."""
    return LinkUp("lo").key not in there and all(it.address.version != 4 for it in addresses)


def is_up(dev: str, there: Objects) -> bool:
    """True when the device is raised."""
    link = there.link(dev)
    return (link is not None and link.up) or LinkUp(dev).key in there


def device_towards(via: IPAddress, dev: str | None, there: Objects) -> str | None:
    """Return the device over which a gateway is a direct neighbour, or None."""
    if via.version == 6 and via.is_link_local:
        return dev
    for it in there.of_kind(Address):
        if via in it.address.network and dev in (None, it.dev) and is_up(it.dev, there):
            return it.dev
    for route in there.of_kind(Route) if dev is None else there.on_device(dev):
        if isinstance(route, Route) and dev in (None, route.dev) and _is_direct(route, via, there):
            return route.dev
    return None


def _is_direct(route: Route, via: IPAddress, there: Objects) -> bool:
    """True when the route says that the gateway is a neighbour."""
    is_link = route.via is None and route.type == "unicast" and route.scope != "host"
    return is_link and via in route.dst and route.dev is not None and is_up(route.dev, there)
