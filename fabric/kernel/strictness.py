"""The strictness of Linux: the steps that it would refuse, as one pure function for each kind of object.

Each raises OSError with the errno that Linux gives. The fake kernel asks before it takes a step, so that
a plan in a wrong order fails in a unit test as it would on a node.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator

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
    Qdisc,
    Route,
    Sysctl,
    Tun,
    Veth,
    Vxlan,
)
from fabric.netstate.rules import Chain, Family, IpSet, Jump, Table

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
_TARGET = re.compile(r"(?:^| )(?:-j|-g) (\S+)")
_SET = re.compile(r"--match-set (\S+)|--(?:add|del)-set (\S+)")


def refuse(number: int) -> None:
    """Raise the OSError of that errno."""
    raise OSError(number, os.strerror(number))


def check(obj: NetObject, objects: Iterable[NetObject]) -> None:
    """Raise what Linux would answer to putting `obj` among `objects`."""
    there = list(objects)
    match obj:
        case Bridge() | Veth() | Vxlan() | Ipip() | Tun():
            _check_link(obj, there)
        case LinkUp(dev=dev) | Neighbor(dev=dev) | FdbEntry(dev=dev):
            _check_device(dev, there)
            if isinstance(obj, FdbEntry) and not any(isinstance(o, Vxlan) and o.name == dev for o in there):
                refuse(errno.EOPNOTSUPP)
        case LinkMtu(dev=dev, mtu=mtu):
            _check_device(dev, there)
            if dev != "lo" and not MTU_MIN <= mtu <= MTU_MAX:
                refuse(errno.EINVAL)
        case LinkMac(dev=dev, mac=mac):
            _check_device(dev, there)
            if any(isinstance(o, Ipip | Tun) and o.name == dev for o in there):
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


def check_rules(objects: Iterable[NetObject]) -> None:
    """Raise what Linux would answer to the rules as a whole: at the end of a transaction."""
    there = list(objects)
    chains = {(o.family, o.table, o.name): o for o in there if isinstance(o, Chain)}
    sets = {o.name: o.family for o in there if isinstance(o, IpSet)}
    for chain in chains.values():
        if len(chain.name) > CHAIN_LENGTH_MAX:
            refuse(errno.EINVAL)
    for family, table, rule in _rules(there):
        for target in _TARGET.findall(rule):
            if target not in TARGETS and (family, table, target) not in chains:
                refuse(errno.ENOENT)
        for name in set_names(rule):
            if name not in sets:
                refuse(errno.ENOENT)
            if sets[name] != family:
                refuse(errno.EINVAL)
    for obj in there:
        if isinstance(obj, Jump) and obj.chain not in BUILT_IN[obj.table]:
            refuse(errno.ENOENT)
    _refuse_loops(chains)


def set_names(rule: str) -> list[str]:
    """Return the names of the sets that a rule names."""
    return [match or add for match, add in _SET.findall(rule)]


def is_named(name: str, objects: Iterable[NetObject]) -> bool:
    """True when a rule, or a set of sets, names the set."""
    there = list(objects)
    in_rule = any(name in set_names(rule) for _, _, rule in _rules(there))
    return in_rule or any(
        isinstance(o, IpSet) and o.type.startswith("list:") and name in o.members for o in there
    )


def _rules(objects: Iterable[NetObject]) -> Iterator[tuple[Family, Table, str]]:
    for obj in objects:
        if isinstance(obj, Jump):
            yield obj.family, obj.table, str(obj.rule)
        elif isinstance(obj, Chain):
            for rule in obj.rules:
                yield obj.family, obj.table, str(rule)


def _refuse_loops(chains: dict[tuple[Family, Table, str], Chain]) -> None:
    done: set[tuple[Family, Table, str]] = set()

    def visit(key: tuple[Family, Table, str], above: frozenset[tuple[Family, Table, str]]) -> None:
        if key in above:
            refuse(errno.ELOOP)
        if key in done or key not in chains:
            return
        for rule in chains[key].rules:
            for target in _TARGET.findall(str(rule)):
                visit((key[0], key[1], target), above | {key})
        done.add(key)

    for key in chains:
        visit(key, frozenset())


def _check_link(obj: Link, there: list[NetObject]) -> None:
    if not 0 < len(obj.name) <= NAME_LENGTH_MAX:
        refuse(errno.ERANGE)
    if isinstance(obj, Veth) and obj.master is not None:
        _check_device(obj.master, there)
        if not any(isinstance(o, Bridge) and o.name == obj.master for o in there):
            refuse(errno.EOPNOTSUPP)
    if isinstance(obj, Vxlan):
        _check_device(obj.parent, there)
        for other in there:
            same_port = isinstance(other, Vxlan) and (other.vni, other.port) == (obj.vni, obj.port)
            if same_port and other.key != obj.key:
                refuse(errno.EEXIST)
    if isinstance(obj, Ipip):
        for other in there:
            same_ends = isinstance(other, Ipip) and (other.local, other.remote) == (obj.local, obj.remote)
            if same_ends and other.key != obj.key:
                refuse(errno.EEXIST)


def _check_device(dev: str, there: list[NetObject]) -> None:
    if dev != "lo" and not any(isinstance(o, Link) and o.name == dev for o in there):
        refuse(errno.ENODEV)


def _check_sysctl(path: str, there: list[NetObject]) -> None:
    parts = path.split("/")
    if len(parts) == 5 and parts[2] in ("conf", "neigh") and parts[3] not in ("all", "default"):
        try:
            _check_device(parts[3], there)
        except OSError:
            refuse(errno.ENOENT)


def _check_set(obj: IpSet, there: list[NetObject]) -> None:
    if obj.type.startswith("list:") and not obj.members <= {o.name for o in there if isinstance(o, IpSet)}:
        refuse(errno.ENOENT)
    if len(obj.name) > SET_LENGTH_MAX or (obj.type == "hash:net" and {"0.0.0.0/0", "::/0"} & obj.members):
        refuse(errno.EINVAL)


def _ipv6_is_off(dev: str, there: list[NetObject]) -> bool:
    return any(
        isinstance(o, Sysctl) and o.path == f"net/ipv6/conf/{scope}/disable_ipv6" and o.value == "1"
        for o in there
        for scope in ("all", dev)
    )


def _check_route(route: Route, there: list[NetObject]) -> None:
    if route.type != "unicast":
        return
    legs = route.next_hops or (route,)
    for leg in legs:
        if leg.dev is not None:
            _check_device(leg.dev, there)
            if not is_up(leg.dev, there):
                refuse(errno.ENETDOWN)
        if leg.via is None and leg.dev is None:
            refuse(errno.EINVAL if route.dst.version == 4 else errno.ENODEV)
        if leg.onlink and (leg.dev is None or (route.dst.version == 4 and _has_no_ipv4(there))):
            refuse(errno.EINVAL)
        is_own = any(isinstance(o, Address) and o.address.ip == leg.via for o in there)
        if is_own and (leg.onlink or route.dst.version == 6):
            refuse(errno.EINVAL)
        if leg.via is not None and not leg.onlink and device_towards(leg.via, leg.dev, there) is None:
            refuse(errno.ENETUNREACH if route.dst.version == 4 else errno.EHOSTUNREACH)
    if route.src is not None and not any(isinstance(o, Address) and o.address.ip == route.src for o in there):
        refuse(errno.EINVAL)


def _has_no_ipv4(there: Iterable[NetObject]) -> bool:
    """True before the first IPv4 address: Linux has no table of local ones then, and trusts no gateway."""
    return not any((isinstance(o, Address) and o.address.version == 4) or o == LinkUp("lo") for o in there)


def is_up(dev: str, there: Iterable[NetObject]) -> bool:
    """True when the device is raised."""
    return any(
        (isinstance(o, Link) and o.name == dev and o.up) or (isinstance(o, LinkUp) and o.dev == dev)
        for o in there
    )


def device_towards(via: IPAddress, dev: str | None, there: list[NetObject]) -> str | None:
    """Return the device over which a gateway is a direct neighbour, or None."""
    if via.version == 6 and via.is_link_local:
        return dev
    for obj in there:
        match obj:
            case Address(dev=device, address=address):
                near = via in address.network
            case Route(dev=str() as device, via=None, type="unicast") if obj.scope != "host":
                near = via in obj.dst
            case _:
                continue
        if near and dev in (None, device) and is_up(device, there):
            return device
    return None
