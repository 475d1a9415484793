"""The chains and sets that enforce policies on one node, in parts: what the calculation changes is made anew.

A part is what changes alone: the static chains, the dispatch to devices of one character, the chains of one
endpoint, of one policy or profile, and one set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from calico.calc.calculator import Calculator
from calico.calc.members import SetId
from calico.calc.node_view import EndpointPolicies, NodeView
from calico.calc.objects import Direction, EndpointId, PolicyId
from calico.calc.rules import RulesId
from calico.felix import dispatch, endpoint_chains, static_chains
from calico.felix.options import RuleOptions
from calico.felix.policy_chains import rules_chain_of
from calico.felix.policy_groups import PolicyGroup, group_chain_of
from calico.felix.site import Site
from fabric.netstate.objects import Family, IPAddress, IpSet, NetState
from fabric.netstate.rules import Table

STATIC = "policy"
"""The part with the chains that are there whatever policies there are."""
_HOST_DISPATCH = "dispatch:host"
_Place = tuple[Table, Direction]
_Asked = RulesId | PolicyGroup
_Use = tuple[_Asked, _Place]
_Render = Callable[[Family], NetState]


@dataclass(frozen=True, slots=True)
class PolicySite:
    """All of a node that its chains follow from."""

    options: RuleOptions
    families: tuple[Family, ...]
    """Those of its addresses."""
    device: str
    """The underlay's."""
    addresses: frozenset[IPAddress]
    """On that device."""

    @classmethod
    def of(cls, site: Site) -> PolicySite:
        addresses = frozenset(address.ip for address in site.facts.addresses)
        families: tuple[Family, ...] = (4, 6)
        own = tuple(family for family in families if any(it.version == family for it in addresses))
        return cls(RuleOptions.of(site), own, site.facts.device, addresses)


def part_of(endpoint: EndpointId) -> str:
    """The part with the chains of an endpoint."""
    return "/".join(("endpoint:" + endpoint.kind, *filter(None, (endpoint.namespace, endpoint.name))))


class PolicyState:
    """The parts of one node."""

    def __init__(self, calculator: Calculator, node: str) -> None:
        self._calculator = calculator
        self._view: NodeView = calculator.follow(node)
        self._site: PolicySite | None = None
        self._parts: dict[str, NetState] = {}
        self._devices: dict[EndpointId, str] = {}
        self._ways: dispatch.Ways = {}
        """Those of the dispatch to pods' devices."""
        self._hosts: frozenset[EndpointId] = frozenset()
        """The host endpoints that have chains."""
        self._uses_of: dict[EndpointId, frozenset[_Use]] = {}
        self._uses: dict[_Asked, Counter[_Place]] = {}
        """Where chains lead to each policy, group and profile, and how often."""

    def has(self, endpoint: EndpointId) -> bool:
        """True once the endpoint's chains are among the parts."""
        return part_of(endpoint) in self._parts

    def parts_of(self, endpoint: EndpointId) -> tuple[str, ...]:
        """The parts that an endpoint's packets meet: its chains, what leads there, and what they lead to."""
        dispatched = (part for part in self._parts if part.startswith("dispatch:"))
        rules = {rules_id for rules_id, _ in self._uses_of.get(endpoint, ())}
        known = (self._view.rules[it] for it in rules if it in self._view.rules)
        sets = {set_id for it in known for set_id in it.sets}
        asked = (*map(_rules_part, rules), *map(_set_part, sets))
        return (STATIC, part_of(endpoint), *dispatched, *sorted(asked))

    def parts(self, site: PolicySite) -> Mapping[str, NetState]:
        """Return all parts as of the calculation's last flush; what did not change is one object."""
        changes: Iterable[object] = self._view.take_changes()
        if site != self._site:
            asked = self._begin(site)
            changes = (*self._view.endpoints, *self._view.rules, *self._view.sets, *asked)
        if changes:
            self._renew(site, frozenset(changes))
        return self._parts

    def _begin(self, site: PolicySite) -> set[_Asked]:
        """Forget what was rendered for the node as it was; return what host endpoints' chains lead to."""
        self._site = site
        self._parts, self._devices, self._ways, self._hosts = {}, {}, {}, frozenset()
        self._uses_of, self._uses = {}, {}
        self._put(STATIC, self._each(lambda it: static_chains.desired_state(site.options, it)))
        self._renew_dispatch(site)
        return self._renew_hosts(site)

    def _renew(self, site: PolicySite, changes: frozenset[object]) -> None:
        endpoints = [it for it in changes if isinstance(it, EndpointId)]
        stale: set[_Asked] = {it for it in changes if isinstance(it, PolicyId | str | PolicyGroup)}
        devices = set(self._devices.values())
        for endpoint in endpoints:
            if endpoint.kind == "WorkloadEndpoint":
                stale |= self._renew_workload(site, endpoint)
        if set(self._devices.values()) != devices:
            self._renew_dispatch(site)
        if any(endpoint.kind == "HostEndpoint" for endpoint in endpoints):
            stale |= self._renew_hosts(site)
        for asked in stale:
            if isinstance(asked, PolicyGroup):
                self._renew_group(site, asked)
            else:
                self._renew_rules(site, asked)
        for set_id in changes:
            if isinstance(set_id, SetId):
                self._renew_set(set_id)

    def _renew_workload(self, site: PolicySite, endpoint: EndpointId) -> set[_Asked]:
        """Render an endpoint's chains; return the policies whose chains are needed elsewhere than before."""
        found = self._view.endpoints.get(endpoint)
        if found is None or not found.endpoint.interface:
            self._devices.pop(endpoint, None)
            self._put(part_of(endpoint), frozenset())
            return self._use(endpoint, ())
        self._devices[endpoint] = found.endpoint.interface
        render = endpoint_chains.workload_chains
        self._put(part_of(endpoint), self._each(lambda it: render(found, site.options, it)))
        return self._use(endpoint, _uses(found, is_host=False))

    def _renew_hosts(self, site: PolicySite) -> set[_Asked]:
        """Render the chains of all host endpoints, each at its device; of two at one, the first by name."""
        hosts = sorted(
            (it for it in self._view.endpoints if it.kind == "HostEndpoint"), key=lambda it: it.name
        )
        at: dict[str, EndpointPolicies] = {}
        for endpoint in hosts:
            found = self._view.endpoints[endpoint]
            if device := _host_device(site, found):
                at.setdefault(device, found)
        stale: set[_Asked] = set()
        placed = {found.endpoint.id: (device, found) for device, found in at.items()}
        before, self._hosts = self._hosts, frozenset(placed)
        for endpoint in before | self._hosts:
            if endpoint not in placed:
                self._put(part_of(endpoint), frozenset())
                stale |= self._use(endpoint, ())
                continue
            device, found = placed[endpoint]
            self._put(part_of(endpoint), self._host_chains(site, device, found))
            stale |= self._use(endpoint, _uses(found, is_host=True))
        chains = self._each(lambda it: dispatch.host_dispatch(tuple(at), site.options, it))
        self._put(_HOST_DISPATCH, chains)
        return stale

    def _host_chains(self, site: PolicySite, device: str, found: EndpointPolicies) -> NetState:
        return self._each(lambda it: endpoint_chains.host_chains(found, device, site.options, it))

    def _renew_dispatch(self, site: PolicySite) -> None:
        """Render the parts of the dispatch to pods' devices whose ways are others than before."""
        before, self._ways = self._ways, dispatch.divided(self._devices.values())
        for start in before.keys() - self._ways.keys():
            self._put(_dispatch_part(start), frozenset())
        render = dispatch.workload_dispatch
        for start, ways in self._ways.items():
            if ways != before.get(start):
                self._put(_dispatch_part(start), self._each(partial(render, start, ways, site.options)))

    def _renew_rules(self, site: PolicySite, rules_id: RulesId) -> None:
        rules = self._view.rules.get(rules_id)
        part = _rules_part(rules_id)
        if rules is None:
            self._put(part, frozenset())
            return
        chains = (
            rules_chain_of(table, rules, direction, site.options, family)
            for family in site.families
            for table, direction in self._uses.get(rules_id, ())
        )
        self._put(part, frozenset(chains))

    def _renew_group(self, site: PolicySite, group: PolicyGroup) -> None:
        chains = (
            group_chain_of(table, group, site.options, family)
            for family in site.families
            for table, _ in self._uses.get(group, ())
        )
        self._put(_rules_part(group), frozenset(chains))

    def _renew_set(self, set_id: SetId) -> None:
        part = _set_part(set_id)
        if self._site is None or not self._view.needs(set_id):
            self._put(part, frozenset())
            return
        found = (
            IpSet(set_id.name(it), set_id.type, it, self._calculator.members(set_id, it))
            for it in self._site.families
        )
        self._put(part, frozenset(found))

    def _use(self, endpoint: EndpointId, uses: Iterable[_Use]) -> set[_Asked]:
        """Note where an endpoint's chains lead; return what is led to elsewhere than before."""
        before, now = self._uses_of.pop(endpoint, frozenset()), frozenset(uses)
        stale = set()
        for rules, place in now - before:
            places = self._uses.setdefault(rules, Counter())
            places[place] += 1
            if places[place] == 1:
                stale.add(rules)
        for rules, place in before - now:
            places = self._uses[rules]
            places[place] -= 1
            if not places[place]:
                del places[place]
                stale.add(rules)
            if not places:
                del self._uses[rules]
        if now:
            self._uses_of[endpoint] = now
        return stale

    def _each(self, render: _Render) -> NetState:
        """Return what is rendered for each family of the node."""
        families = self._site.families if self._site else ()
        return frozenset(obj for family in families for obj in render(family))

    def _put(self, part: str, state: NetState) -> None:
        """Set a part; the same again stays the same object, and nothing is no part."""
        if not state:
            self._parts.pop(part, None)
        elif self._parts.get(part) != state:
            self._parts[part] = state


def _rules_part(asked: _Asked) -> str:
    return f"rules:{asked.chain_name if isinstance(asked, PolicyGroup) else asked}"


def _dispatch_part(start: str) -> str:
    return f"dispatch:{start}"


def _set_part(set_id: SetId) -> str:
    return f"set:{set_id.name(4)}"


def _uses(found: EndpointPolicies, *, is_host: bool) -> Iterator[_Use]:
    for table, asked, direction in endpoint_chains.asked(found, is_host=is_host):
        yield asked, (table, direction)


def _host_device(site: PolicySite, found: EndpointPolicies) -> str:
    """The device of a host endpoint: named, any, or that of its addresses; empty where it is on none."""
    endpoint = found.endpoint
    if endpoint.interface:
        return dispatch.ANY_DEVICE if endpoint.interface == "*" else endpoint.interface
    own = {net.network_address for net in endpoint.nets}
    return site.device if own & site.addresses else ""
