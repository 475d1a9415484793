"""The members of the IP sets that policies' rules refer to, kept at the cost of each change.

A rule's selector is one set, whoever else has it: the addresses of all endpoints and network sets that it
matches. A named port is a set of addresses with the port that each gives this name. An address stays a member
for as long as one of those that have it matches.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from calico.calc.labels import LabelIndex
from calico.calc.objects import Endpoint, EndpointId
from calico.selector import Labels, Selector
from fabric.netstate.members import Members
from fabric.netstate.objects import Family, IPNetwork

_NAME_LENGTH_MAX = 31
"""Linux' limit of a set's name."""


@dataclass(frozen=True, slots=True)
class SetId:
    """The identity of a set: a selector, and a named port where it is one of addresses with ports."""

    selector: Selector
    protocol: str = ""
    port: str = ""

    @property
    def type(self) -> str:
        return "hash:ip,port" if self.port else "hash:net"

    def name(self, family: Family) -> str:
        """`cali40s:…`, with a hash of what it is, cut to what Linux takes: as on a real node."""
        return f"cali{family}0{_unique(self)}"[:_NAME_LENGTH_MAX]


class IpSets:
    """The sets that somebody refers to; `on_change` is told of each whose members changed."""

    def __init__(self, on_change: Callable[[SetId], None]) -> None:
        self._on_change = on_change
        self._index: LabelIndex[EndpointId] = LabelIndex(self._matched)
        self._items: dict[EndpointId, Endpoint] = {}
        self._users: Counter[SetId] = Counter()
        self._by_selector: dict[Selector, set[SetId]] = defaultdict(set)
        self._counts: dict[SetId, Counter[str]] = {}
        """How many items have a member; IPv6 ones have a colon in front of their port."""
        self._members: dict[SetId, dict[Family, Members]] = {}
        self._come: dict[SetId, set[str]] = defaultdict(set)
        self._go: dict[SetId, set[str]] = defaultdict(set)

    def put(self, item: Endpoint) -> None:
        """Enter an endpoint or network set, or change it."""
        old = self._items.get(item.id)
        self._items[item.id] = item
        if old is not None and (old.nets, old.ports) != (item.nets, item.ports):
            for set_id in self._sets_of(item.id):
                self._count(set_id, _members(set_id, item), _members(set_id, old))
        self._index.put(item.id, item.labels, item.profiles)

    def drop(self, item: EndpointId) -> None:
        """Remove an endpoint or network set; none is no error."""
        self._index.drop(item)
        self._items.pop(item, None)

    def put_profile(self, name: str, labels: Labels) -> None:
        """Set the labels that items inherit from a profile."""
        self._index.put_parent(name, labels)

    def add(self, set_id: SetId) -> None:
        """Keep a set, once for each `add`; the next flush fills it."""
        self._users[set_id] += 1
        if self._users[set_id] > 1:
            return
        self._counts[set_id] = Counter()
        self._members[set_id] = {4: Members(), 6: Members()}
        is_new = not self._by_selector[set_id.selector]
        self._by_selector[set_id.selector].add(set_id)
        if is_new:
            self._index.add(set_id.selector)
        else:
            for item in self._index.matches(set_id.selector):
                self._count(set_id, _members(set_id, self._items[item]), ())

    def remove(self, set_id: SetId) -> None:
        """Undo one `add`; after the last the set is no more."""
        self._users[set_id] -= 1
        if self._users[set_id]:
            return
        for table in (self._users, self._counts, self._members, self._come, self._go):
            table.pop(set_id, None)
        self._by_selector[set_id.selector].discard(set_id)
        if not self._by_selector[set_id.selector]:
            del self._by_selector[set_id.selector]
            self._index.remove(set_id.selector)

    def members(self, set_id: SetId, family: Family) -> Members:
        """The members of a set as of the last flush, in the words of `ipset save`."""
        return self._members[set_id][family]

    def flush(self) -> None:
        """Make what changed a new version of each set, and tell of it."""
        changed = self._come.keys() | self._go.keys()
        for set_id in changed:
            come, go = self._come.pop(set_id, set()), self._go.pop(set_id, set())
            if not come and not go:
                continue
            versions = self._members[set_id]
            for family in versions:
                news, olds = ({it for it in part if _is_six(it) == (family == 6)} for part in (come, go))
                versions[family] = versions[family].changed(news, olds)
            self._on_change(set_id)

    def _sets_of(self, item: EndpointId) -> Iterator[SetId]:
        for selector in self._index.selectors_of(item):
            yield from self._by_selector[selector]

    def _matched(self, selector: Selector, item: EndpointId, comes: bool) -> None:
        for set_id in self._by_selector[selector]:
            its = _members(set_id, self._items[item])
            self._count(set_id, its if comes else (), () if comes else its)

    def _count(self, set_id: SetId, come: Iterable[str], go: Iterable[str]) -> None:
        counts = self._counts[set_id]
        for member in come:
            counts[member] += 1
            if counts[member] == 1:
                self._note(set_id, member, self._come, self._go)
        for member in go:
            counts[member] -= 1
            if not counts[member]:
                del counts[member]
                self._note(set_id, member, self._go, self._come)

    def _note(
        self, set_id: SetId, member: str, side: Mapping[SetId, set[str]], other: Mapping[SetId, set[str]]
    ) -> None:
        """Note a change for the next flush; what undoes one that is noted leaves nothing to do."""
        if member in other.get(set_id, ()):
            other[set_id].discard(member)
        else:
            side[set_id].add(member)


def _is_six(member: str) -> bool:
    return member.count(":") > 1


def _members(set_id: SetId, item: Endpoint) -> tuple[str, ...]:
    """Return the members that an item gives to a set whose selector matches it."""
    if not set_id.port:
        return tuple(text for net in item.nets for text in texts(net))
    ports = [it.port for it in item.ports if (it.name, it.protocol) == (set_id.port, set_id.protocol)]
    addresses = [net.network_address for net in item.nets if net.prefixlen == net.max_prefixlen]
    return tuple(
        f"{address},{set_id.protocol}:{port}" for address in addresses for port in dict.fromkeys(ports)
    )


def texts(net: IPNetwork) -> tuple[str, ...]:
    """A network as `ipset save` prints it; as hash:net takes no length of 0, such a one is two halves."""
    if net.prefixlen == 0:
        return tuple(str(half) for half in net.subnets())
    return (str(net.network_address) if net.prefixlen == net.max_prefixlen else str(net),)


@lru_cache(maxsize=16384)
def _unique(set_id: SetId) -> str:
    found = _hashed("s", str(set_id.selector))
    return _hashed("n", f"{found},{set_id.protocol},{set_id.port}") if set_id.port else found


def _hashed(prefix: str, content: str) -> str:
    digest = hashlib.sha224(f"{prefix}:{content}".encode()).digest()
    return f"{prefix}:{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
