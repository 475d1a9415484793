"""The calculator: which policies, rules and sets each of a process' nodes needs, at the cost of each change.

Objects go in as the datastore tells of them; `flush` makes all of it visible at once in the views of the
nodes that it concerns. Policies that select no endpoint of these nodes cost their selector and no more: none
of their sets is kept.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TypeVar

from calico.calc.labels import LabelIndex
from calico.calc.members import IpSets, SetId
from calico.calc.node_view import EndpointPolicies, NodeView, PolicyRef, TierPolicies
from calico.calc.objects import Endpoint, EndpointId, Policy, PolicyId, Profile, Tier
from calico.calc.rules import Rules, RulesId, rules_of
from calico.selector import Selector
from fabric.netstate.members import Members
from fabric.netstate.objects import Family

K = TypeVar("K")
V = TypeVar("V")


class Calculator:
    """The calculation for the nodes that are followed."""

    def __init__(self) -> None:
        self._sets = IpSets(self._set_changed)
        self._endpoints: dict[EndpointId, Endpoint] = {}
        self._local: LabelIndex[EndpointId] = LabelIndex(self._policy_matched)
        """The endpoints of the nodes that are followed, and the selectors of policies."""
        self._views: dict[str, NodeView] = {}
        self._on_node: dict[str, set[EndpointId]] = defaultdict(set)
        self._policies: dict[PolicyId, Policy] = {}
        self._by_selector: dict[Selector, set[PolicyId]] = defaultdict(set)
        self._matching: dict[EndpointId, set[PolicyId]] = defaultdict(set)
        self._profiles: dict[str, Profile] = {}
        self._tiers: dict[str, Tier] = {}
        self._rules: dict[RulesId, Rules] = {}
        self._of_profile: dict[str, set[EndpointId]] = defaultdict(set)
        """The local endpoints that have a profile."""
        self._stale: set[EndpointId] = set()
        """Local endpoints whose policies are to be sorted anew."""

    def follow(self, node: str) -> NodeView:
        """Return the view of a node, which the next flush fills; the same for each call."""
        if node not in self._views:
            self._views[node] = NodeView(node, self._need_set)
            for endpoint in self._on_node.get(node, ()):
                self._enter_local(self._endpoints[endpoint])
        return self._views[node]

    def leave(self, node: str) -> None:
        """Follow a node no more."""
        for endpoint in tuple(self._on_node.get(node, ())):
            self._leave_local(self._endpoints[endpoint])
        self._views.pop(node, None)

    def put_endpoint(self, endpoint: Endpoint) -> None:
        """Enter an endpoint or network set, or change it."""
        old = self._endpoints.get(endpoint.id)
        if endpoint == old:
            return
        if old is not None and old.node != endpoint.node:
            self._leave_node(old)
        self._endpoints[endpoint.id] = endpoint
        self._sets.put(endpoint)
        if endpoint.node:
            self._on_node[endpoint.node].add(endpoint.id)
        if endpoint.node in self._views:
            if old is not None:
                self._forget_profiles(old)
            self._enter_local(endpoint)

    def drop_endpoint(self, endpoint_id: EndpointId) -> None:
        """Remove an endpoint or network set; none is no error."""
        old = self._endpoints.get(endpoint_id)
        if old is not None:
            self._leave_node(old)
            del self._endpoints[endpoint_id]
            self._sets.drop(endpoint_id)

    def put_policy(self, policy: Policy) -> None:
        """Enter a policy, or change it."""
        old = self._policies.get(policy.id)
        if policy == old:
            return
        self._policies[policy.id] = policy
        self._renew_rules(policy)
        if old is not None and old.selector == policy.selector:
            if _place(old) != _place(policy):
                self._stale |= self._local.matches(policy.selector)
            return
        if old is not None:
            self._leave_selector(old)
        self._by_selector[policy.selector].add(policy.id)
        if len(self._by_selector[policy.selector]) == 1:
            self._local.add(policy.selector)
        else:
            for endpoint in self._local.matches(policy.selector):
                self._match(policy.id, endpoint, True)

    def drop_policy(self, policy_id: PolicyId) -> None:
        """Remove a policy; none is no error."""
        old = self._policies.pop(policy_id, None)
        if old is not None:
            self._leave_selector(old)
            self._rules.pop(policy_id, None)

    def put_profile(self, profile: Profile) -> None:
        """Enter a profile, or change it."""
        old = self._profiles.get(profile.name)
        if profile == old:
            return
        self._profiles[profile.name] = profile
        self._renew_rules(profile)
        self._put_labels(profile.name, profile)
        if old is None:
            self._stale |= self._of_profile.get(profile.name, set())

    def drop_profile(self, name: str) -> None:
        """Remove a profile; none is no error."""
        if self._profiles.pop(name, None) is not None:
            self._put_labels(name, None)
            self._rules.pop(name, None)
            self._stale |= self._of_profile.get(name, set())

    def put_tier(self, tier: Tier) -> None:
        """Enter a tier, or change it."""
        if self._tiers.get(tier.name) != tier:
            self._tiers[tier.name] = tier
            self._sort_tier_anew(tier.name)

    def drop_tier(self, name: str) -> None:
        """Remove a tier; its policies come after those of all that exist."""
        if self._tiers.pop(name, None) is not None:
            self._sort_tier_anew(name)

    def flush(self) -> frozenset[str]:
        """Bring the views up to date; return the nodes whose views changed."""
        stale, self._stale = self._stale, set()
        for endpoint_id in stale:
            endpoint = self._endpoints.get(endpoint_id)
            view = self._views.get(endpoint.node) if endpoint else None
            if endpoint is not None and view is not None:
                view.put_endpoint(self._sorted(endpoint), self._rules.__getitem__)
        self._sets.flush()
        return frozenset(name for name, view in self._views.items() if view.has_changes)

    def members(self, set_id: SetId, family: Family) -> Members:
        """The members of a set that a view needs."""
        return self._sets.members(set_id, family)

    def _sorted(self, endpoint: Endpoint) -> EndpointPolicies:
        """An endpoint's policies by tiers, and its profiles."""
        by_tier: dict[str, list[Policy]] = defaultdict(list)
        for policy_id in self._matching.get(endpoint.id, ()):
            policy = self._policies[policy_id]
            by_tier[policy.tier].append(policy)
        tiers = []
        for name in sorted(by_tier, key=self._tier_key):
            policies = sorted(by_tier[name], key=lambda it: it.sort_key)
            action = self._tiers[name].default_action if name in self._tiers else "Deny"
            tiers.append(TierPolicies(name, action, tuple(map(_ref, policies))))
        profiles = tuple(name for name in endpoint.profiles if name in self._profiles)
        return EndpointPolicies(endpoint, tuple(tiers), profiles)

    def _tier_key(self, name: str) -> tuple[bool, float, str]:
        tier = self._tiers.get(name)
        return (tier is None, *(tier or Tier(name)).sort_key)

    def _sort_tier_anew(self, name: str) -> None:
        for policy in self._policies.values():
            if policy.tier == name:
                self._stale |= self._local.matches(policy.selector)

    def _renew_rules(self, ruled: Policy | Profile) -> None:
        rules = self._rules[ruled.id if isinstance(ruled, Policy) else ruled.name] = rules_of(ruled)
        for view in self._views.values():
            view.put_rules(rules)

    def _put_labels(self, name: str, profile: Profile | None) -> None:
        labels = (profile.labels if profile else None) or {}
        self._sets.put_profile(name, labels)
        self._local.put_parent(name, labels)

    def _enter_local(self, endpoint: Endpoint) -> None:
        for name in endpoint.profiles:
            self._of_profile[name].add(endpoint.id)
        self._stale.add(endpoint.id)
        self._local.put(endpoint.id, endpoint.labels, endpoint.profiles)

    def _leave_local(self, endpoint: Endpoint) -> None:
        if (view := self._views.get(endpoint.node)) is None:
            return
        self._forget_profiles(endpoint)
        self._local.drop(endpoint.id)
        self._matching.pop(endpoint.id, None)
        self._stale.discard(endpoint.id)
        view.drop_endpoint(endpoint.id)

    def _leave_node(self, endpoint: Endpoint) -> None:
        self._leave_local(endpoint)
        _discard(self._on_node, endpoint.node, endpoint.id)

    def _forget_profiles(self, endpoint: Endpoint) -> None:
        for name in endpoint.profiles:
            _discard(self._of_profile, name, endpoint.id)

    def _leave_selector(self, policy: Policy) -> None:
        for endpoint in tuple(self._local.matches(policy.selector)):
            self._match(policy.id, endpoint, False)
        _discard(self._by_selector, policy.selector, policy.id)
        if policy.selector not in self._by_selector:
            self._local.remove(policy.selector)

    def _policy_matched(self, selector: Selector, endpoint: EndpointId, comes: bool) -> None:
        for policy_id in self._by_selector[selector]:
            self._match(policy_id, endpoint, comes)

    def _match(self, policy_id: PolicyId, endpoint: EndpointId, comes: bool) -> None:
        self._stale.add(endpoint)
        if comes:
            self._matching[endpoint].add(policy_id)
        else:
            _discard(self._matching, endpoint, policy_id)

    def _need_set(self, set_id: SetId, is_needed: bool) -> None:
        if is_needed:
            self._sets.add(set_id)
        else:
            self._sets.remove(set_id)

    def _set_changed(self, set_id: SetId) -> None:
        for view in self._views.values():
            view.set_changed(set_id)


def _place(policy: Policy) -> tuple[object, ...]:
    """All of a policy that the chains of its endpoints follow from."""
    return (policy.tier, policy.sort_key, _ref(policy))


def _ref(policy: Policy) -> PolicyRef:
    return PolicyRef(
        policy.id,
        "ingress" in policy.types,
        "egress" in policy.types,
        policy.untracked,
        policy.pre_dnat,
        policy.apply_on_forward,
        str(policy.selector),
    )


def _discard(table: dict[K, set[V]], key: K, value: V) -> None:
    """Remove a value from one of the sets; an empty one goes."""
    found = table.get(key)
    if found is not None:
        found.discard(value)
        if not found:
            del table[key]
