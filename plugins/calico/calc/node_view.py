"""A node's view of the calculation: its endpoints with their policies, and the rules and sets of these.

It keeps what changed until the node's agent takes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from calico.calc.members import SetId
from calico.calc.objects import Action, Endpoint, EndpointId, PolicyId
from calico.calc.rules import Rules, RulesId


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """A policy as an endpoint's chains refer to it."""

    id: PolicyId
    ingress: bool
    egress: bool
    untracked: bool = False
    pre_dnat: bool = False
    apply_on_forward: bool = False
    selector: str = ""
    """The endpoints that it is for, in the one form that all spellings of a selector share."""


@dataclass(frozen=True, slots=True)
class TierPolicies:
    """The policies of one tier that are for an endpoint, in their order."""

    name: str
    default_action: Action
    policies: tuple[PolicyRef, ...]


@dataclass(frozen=True, slots=True)
class EndpointPolicies:
    """An endpoint with the tiers that are for it, and those of its profiles that exist, in their order."""

    endpoint: Endpoint
    tiers: tuple[TierPolicies, ...] = ()
    profiles: tuple[str, ...] = ()

    @property
    def rules(self) -> Iterator[RulesId]:
        """The policies and profiles to which its chains lead."""
        yield from (policy.id for tier in self.tiers for policy in tier.policies)
        yield from self.profiles


Change = EndpointId | RulesId | SetId
"""An endpoint, rules or a set that came, changed or went."""


class NodeView:
    """All that concerns one node."""

    def __init__(self, name: str, on_set: Callable[[SetId, bool], None]) -> None:
        """`on_set` is told of each set that the node begins (True) or ceases to need."""
        self.name = name
        self._on_set = on_set
        self.endpoints: dict[EndpointId, EndpointPolicies] = {}
        self.rules: dict[RulesId, Rules] = {}
        self._users: Counter[RulesId] = Counter()
        self._set_users: Counter[SetId] = Counter()
        self._changes: set[Change] = set()

    @property
    def sets(self) -> Iterable[SetId]:
        """The sets that its rules refer to."""
        return self._set_users

    def needs(self, set_id: SetId) -> bool:
        """True for a set that its rules refer to."""
        return set_id in self._set_users

    @property
    def has_changes(self) -> bool:
        return bool(self._changes)

    def take_changes(self) -> frozenset[Change]:
        """Return what changed since the last call."""
        changes, self._changes = self._changes, set()
        return frozenset(changes)

    def put_endpoint(self, found: EndpointPolicies, rules: Callable[[RulesId], Rules]) -> None:
        """Set an endpoint's policies; `rules` gives the rules of each."""
        old = self.endpoints.get(found.endpoint.id)
        if found == old:
            return
        self.endpoints[found.endpoint.id] = found
        self._changes.add(found.endpoint.id)
        for rules_id in found.rules:
            self._users[rules_id] += 1
            if self._users[rules_id] == 1:
                self._enter(rules(rules_id))
        if old is not None:
            self._release(old)

    def drop_endpoint(self, endpoint: EndpointId) -> None:
        """Remove an endpoint, with the rules that no other needs; none is no error."""
        old = self.endpoints.pop(endpoint, None)
        if old is not None:
            self._changes.add(endpoint)
            self._release(old)

    def put_rules(self, rules: Rules) -> None:
        """Set the rules of a policy or profile, if an endpoint of the node has it."""
        old = self.rules.get(rules.id)
        if old is not None and old is not rules:
            self._enter(rules)
            self._unuse(old.sets)

    def set_changed(self, set_id: SetId) -> None:
        """Note that the members of a set are others."""
        if set_id in self._set_users:
            self._changes.add(set_id)

    def _enter(self, rules: Rules) -> None:
        self.rules[rules.id] = rules
        self._changes.add(rules.id)
        for set_id in rules.sets:
            self._set_users[set_id] += 1
            if self._set_users[set_id] == 1:
                self._on_set(set_id, True)
                self._changes.add(set_id)

    def _release(self, old: EndpointPolicies) -> None:
        for rules_id in old.rules:
            self._users[rules_id] -= 1
            if not self._users[rules_id]:
                del self._users[rules_id]
                self._changes.add(rules_id)
                self._unuse(self.rules.pop(rules_id).sets)

    def _unuse(self, sets: Iterable[SetId]) -> None:
        for set_id in sets:
            self._set_users[set_id] -= 1
            if not self._set_users[set_id]:
                del self._set_users[set_id]
                self._on_set(set_id, False)
                self._changes.add(set_id)
