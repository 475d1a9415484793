"""What leaves the pools gets the node's address; what stays inside keeps its own.

nat POSTROUTING ends in a jump to cali-POSTROUTING: appended, because kube-proxy's rules must have seen the
packet first. A packet from a pool with natOutgoing to an address of no pool is masqueraded; so is what the
node itself sends through a tunnel under another address than the tunnel's. The pools are two sets, so that a
pool more is one entry and no rule. Each rule's comment is a hash over its chain up to it, as Felix's are.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence

from calico.felix import tunnels
from calico.felix.site import Site
from fabric.netstate.objects import Chain, Family, IpSet, Jump, NetState

_HASH_LENGTH = 16
FAMILIES: tuple[Family, ...] = (4, 6)


def set_name(name: str, family: Family) -> str:
    """`cali40all-ipam-pools`: Felix's names of its sets, which have the family in them."""
    return f"cali{family}0{name}"


def desired_state(site: Site) -> NetState:
    """The chains, sets and the jump of every family of the node that has a pool."""
    pooled = {pool.spec.family for pool in site.pools}
    found = [family for family in FAMILIES if family in pooled and site.address(family) is not None]
    return frozenset(obj for family in found for obj in _family(site, family))


def _family(site: Site, family: Family) -> Iterator[IpSet | Chain | Jump]:
    pools = [pool.spec for pool in site.pools if pool.spec.family == family]
    nat = [spec for spec in pools if spec.nat_outgoing]  # Disabled ones too: their pods are still there.
    yield _set("all-ipam-pools", family, (str(spec.cidr) for spec in pools))
    yield _set("masq-ipam-pools", family, (str(spec.cidr) for spec in nat))
    outgoing = [_outgoing(family)] if nat else []
    yield chain("nat", "cali-nat-outgoing", outgoing, family)
    rules = ["-j cali-nat-outgoing", *map(_through, _tunnels(site, family))]
    yield chain("nat", "cali-POSTROUTING", rules, family)
    yield jump("nat", "POSTROUTING", "-j cali-POSTROUTING", family)


def _set(name: str, family: Family, members: Iterable[str]) -> IpSet:
    return IpSet(set_name(name, family), "hash:net", family, frozenset(members))


def _outgoing(family: Family) -> str:
    inside = f"-m set --match-set {set_name('masq-ipam-pools', family)} src"
    outside = f"-m set ! --match-set {set_name('all-ipam-pools', family)} dst"
    return f"{inside} {outside} -j MASQUERADE --random-fully"


def _through(device: str) -> str:
    """The node's own packets into a tunnel come from the tunnel's address, or answers would not come back."""
    wrong = "-m addrtype ! --src-type LOCAL --limit-iface-out -m addrtype --src-type LOCAL"
    return f"-o {device} {wrong} -j MASQUERADE --random-fully"


def _tunnels(site: Site, family: Family) -> Iterator[str]:
    if family == 4 and site.wants_ipip:
        yield "tunl0"
    if site.wants_vxlan(family):
        yield tunnels.device(family)


def chain(table: str, name: str, rules: Sequence[str], family: Family) -> Chain:
    """A chain with a hash in each rule: over the chain's name, the hash before it, and the rule."""
    written, before = [], ""
    for rule in rules:
        before = _hashed(name, before, rule)
        written.append(_commented(rule, before))
    return Chain.parse(table, name, written, family, "felix")  # type: ignore[arg-type]


def jump(table: str, name: str, rule: str, family: Family) -> Jump:
    """A rule at the end of a chain of the kernel's own."""
    return Jump.parse(table, name, _commented(rule, _hashed(name, "", rule)), "append", family)  # type: ignore[arg-type]


def _hashed(chain_name: str, before: str, rule: str) -> str:
    digest = hashlib.sha256(f"{chain_name}\n{before}\n{rule}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode()[:_HASH_LENGTH]


def _commented(rule: str, hashed: str) -> str:
    """The comment where iptables-save prints it: behind the device, before the other matches."""
    words = rule.split(" ")
    head = " ".join(words[:2]) + " " if words[0] in ("-o", "-i") else ""
    return f'{head}-m comment --comment "cali:{hashed}" {rule.removeprefix(head)}'
