"""Masquerading on one node: what leaves the pools gets the node's address, what stays inside keeps its own.

The kernel's three chains of nat lead into Felix's at their top. A packet from a pool with natOutgoing to an
address of no pool is masqueraded; so is what the node itself sends through a tunnel under another address
than the tunnel's. The pools are two sets, so that a pool more is one entry and no rule. The chains of
floating IPs are there, and empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network

from calico.felix import tunnels
from calico.felix.rules import FelixRule, chain, jump
from calico.felix.site import Site, node_address, vtep_address
from calico.resources.felix import FelixConfigurationSpec, port_range
from calico.resources.nodes import Node
from fabric.netstate.objects import Chain, Family, IPNetwork, IpSet, Jump, NetState

FAMILIES: tuple[Family, ...] = (4, 6)
ALL_HOSTS, ALL_VXLAN = "all-hosts-net", "all-vxlan-net"
_MASQUERADE = "MASQUERADE --random-fully"
_WRONG_SOURCE = ("-m addrtype ! --src-type LOCAL --limit-iface-out", "-m addrtype --src-type LOCAL")
"""The node's own packets into a tunnel come from the tunnel's address, or answers would not come back."""


def set_name(name: str, family: Family) -> str:
    """`cali40all-ipam-pools`: Felix's names of its sets, which have the family in them."""
    return f"cali{family}0{name}"


def desired_state(site: Site) -> NetState:
    """The chains, sets and jumps of every family of the node that has a pool."""
    return frozenset(obj for family in _families(site) for obj in _family(site, family))


def hosts_state(site: Site, nodes: Mapping[str, Node]) -> NetState:
    """The sets of the addresses of nodes and external ones, where a rule asks for them."""
    return frozenset(obj for family in FAMILIES for obj in _hosts(site, nodes, family))


def _hosts(site: Site, nodes: Mapping[str, Node], family: Family) -> Iterator[IpSet]:
    """All nodes, which natOutgoing may spare and which IPIP comes from; and others from which VXLAN comes."""
    spares = site.felix.nat_outgoing_exclusions == "IPPoolsAndHostIPs" and family in _families(site)
    if spares or (site.wants_ipip and family == 4):
        yield _set(ALL_HOSTS, family, _addresses(site, nodes.values(), family))
    if site.wants_vxlan(family):
        ends = [it for name, it in nodes.items() if name != site.name and vtep_address(it, family)]
        yield _set(ALL_VXLAN, family, _addresses(site, ends, family))


def _addresses(site: Site, nodes: Iterable[Node], family: Family) -> Iterator[str]:
    found = (node_address(node, family) for node in nodes)
    own = (ip_network(it.ip) for it in found if it is not None)
    yield from (_member(it) for it in (*own, *site.felix.external_nodes_list) if it.version == family)


def _member(network: IPNetwork) -> str:
    """A network as ipset prints it: one of a single address without its length."""
    single = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if single else str(network)


def _families(site: Site) -> tuple[Family, ...]:
    pooled = {pool.spec.family for pool in site.pools}
    return tuple(family for family in FAMILIES if family in pooled and site.address(family) is not None)


def _family(site: Site, family: Family) -> Iterator[IpSet | Chain | Jump]:
    pools = [pool.spec for pool in site.pools if pool.spec.family == family]
    nat = [spec for spec in pools if spec.nat_outgoing]  # Disabled ones too: their pods are still there.
    yield _set("all-ipam-pools", family, (str(spec.cidr) for spec in pools))
    yield _set("masq-ipam-pools", family, (str(spec.cidr) for spec in nat))
    through = (
        FelixRule(_MASQUERADE, (f"--out-interface {device}", *_WRONG_SOURCE))
        for device in _tunnels(site, family)
    )
    rules = {
        "cali-fip-dnat": (),
        "cali-fip-snat": (),
        "cali-nat-outgoing": tuple(_outgoing(site.felix, family)) if nat else (),
        "cali-PREROUTING": (FelixRule("cali-fip-dnat"),),
        "cali-OUTPUT": (FelixRule("cali-fip-dnat"),),
        "cali-POSTROUTING": (FelixRule("cali-fip-snat"), FelixRule("cali-nat-outgoing"), *through),
    }
    yield from (chain("nat", name, its, family) for name, its in rules.items())
    is_first = site.felix.chain_insert_mode != "Append"
    for hook in ("PREROUTING", "OUTPUT", "POSTROUTING"):
        yield jump("nat", hook, f"cali-{hook}", family, is_first=is_first)


def _set(name: str, family: Family, members: Iterable[str]) -> IpSet:
    return IpSet(set_name(name, family), "hash:net", family, frozenset(members))


def _outgoing(felix: FelixConfigurationSpec, family: Family) -> Iterator[FelixRule]:
    """Masquerade, or the address that is given; TCP and UDP within the ports that are given."""
    address = felix.nat_outgoing_address if family == 4 else None
    plain = f"SNAT --to-source {address} --random-fully" if address else _MASQUERADE
    if ports := port_range(felix.nat_port_range):
        within = f"MASQUERADE --to-ports {ports} --random-fully"
        if address:
            within = f"SNAT --to-source {address}:{ports} --random-fully"
        for protocol in ("tcp", "udp"):
            yield _from_pools(felix, family, within, protocol)
            yield FelixRule("RETURN", (f"-p {protocol}",))
    yield _from_pools(felix, family, plain)


def _from_pools(felix: FelixConfigurationSpec, family: Family, action: str, protocol: str = "") -> FelixRule:
    outside = ["all-ipam-pools"]
    if felix.nat_outgoing_exclusions == "IPPoolsAndHostIPs":
        outside.append(ALL_HOSTS)
    matches = (
        f"-m set --match-set {set_name('masq-ipam-pools', family)} src",
        *(f"-m set ! --match-set {set_name(name, family)} dst" for name in outside),
    )
    device = felix.iptables_nat_outgoing_interface_filter
    heads = (*([f"-p {protocol}"] if protocol else []), *([f"--out-interface {device}"] if device else []))
    return FelixRule(action, (*matches, *heads))


def _tunnels(site: Site, family: Family) -> Iterator[str]:
    if family == 4 and site.wants_ipip:
        yield "tunl0"
    if site.wants_vxlan(family):
        yield tunnels.device(family)
