"""Names and addresses that every underlay has: who is called what, and which address a node gets.

A frame from node-1 to node-2 of one Ethernet leaves node-1's `eth0`, enters the switch at the port named
after node-1, crosses the bridge `br0`, and comes out of node-2's `eth0`. The bridge's own address is the
gateway: every node has a default route, as on a real network, although nothing may lie behind it.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from itertools import chain

from fabric.netstate.objects import IPInterface, IPNetwork

SWITCH = "switch"
CONTROL_PLANE = "control-plane"
BRIDGE = "br0"
DEVICE = "eth0"
FIRST_NODE = 11
"""node-1 gets the subnet's eleventh address: x.x.0.11."""
_DEVICE_NAME_MAX = 15
_NO_PORT = frozenset({"lo", BRIDGE, "all", "default"})
"""Names that a namespace has for something else."""


def assign(
    subnet: IPNetwork, names: Iterable[str], taken: Mapping[str, IPInterface]
) -> dict[str, IPInterface]:
    """Give every name an address of the subnet; a name that has one in `taken` keeps it.

    `node-7` gets the seventh node address where that is free, so that names and addresses go together.
    """
    wanted = list(names)
    kept = {name: taken[name] for name in wanted if name in taken and taken[name].network == subnet}
    used = {address.ip for address in kept.values()}
    assigned = dict(kept)
    for name in sorted((n for n in wanted if n not in kept), key=_by_number):
        number = _by_number(name)[0]
        candidates = [number - 1] if 0 < number < subnet.num_addresses - FIRST_NODE else []
        for offset in chain(candidates, range(subnet.num_addresses - FIRST_NODE - 1)):
            address = interface(subnet, FIRST_NODE + offset, subnet.prefixlen)
            if address.ip not in used and address.ip != subnet.broadcast_address:
                used.add(address.ip)
                assigned[name] = address
                break
    return {name: assigned[name] for name in wanted if name in assigned}


def port(host: str) -> str:
    """Name of the switch's port for a host: its own name where a device can be called so."""
    if len(host) <= _DEVICE_NAME_MAX and host not in _NO_PORT:
        return host
    return f"p{hashlib.sha1(host.encode()).hexdigest()[: _DEVICE_NAME_MAX - 1]}"


def interface(network: IPNetwork, index: int, prefix: int) -> IPInterface:
    """Return the nth address of a network with that prefix length."""
    return ipaddress.ip_interface(f"{network[index]}/{prefix}")


def _by_number(name: str) -> tuple[int, str]:
    tail = name.rpartition("-")[2]
    return (int(tail) if tail.isdigit() else 0, name)
