"""The feed tells the calculator of what is in the datastore, and nodes' agents of what changed for them.

A process has one: it follows the keys of all kinds that policies are computed from.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from calico.calc import reading
from calico.calc.calculator import Calculator
from calico.calc.objects import Endpoint, EndpointId, Policy, PolicyId, Profile, Tier
from calico.resources import endpoints, host_endpoints, policies, sets, tiers
from calico.resources.datastore import Unreadable, decode
from calico.resources.envelope import Resource
from calico.resources.table import RESOURCE_TYPES, parse_key
from fabric.control import parking
from fabric.plugin.reflector import Reflector
from fabric.store.port import KeyValue

FOLLOWED: frozenset[type[Resource]] = frozenset(
    {
        endpoints.Profile,
        endpoints.WorkloadEndpoint,
        host_endpoints.HostEndpoint,
        policies.GlobalNetworkPolicy,
        policies.NetworkPolicy,
        sets.GlobalNetworkSet,
        sets.NetworkSet,
        tiers.Tier,
    }
)
"""The kinds that policies are computed from."""

log = logging.getLogger(__name__)


class Feed:
    """The calculation of one process, kept as the datastore says."""

    def __init__(self, reflector: Reflector) -> None:
        self.calculator = Calculator()
        self._reflector = reflector
        self._followers: dict[str, tuple[object, Callable[[], None]]] = {}
        reflector.follow(self, self._on_change)

    def follow(self, node: str, who: object, on_change: Callable[[], None]) -> None:
        """Call `on_change` after each change that concerns the node, until `leave`."""
        self._followers[node] = (who, on_change)
        self.calculator.follow(node)
        self._tell()

    def leave(self, node: str, who: object) -> None:
        """Follow no more; of two agents of a node the newer one stays."""
        if self._followers.get(node, (None,))[0] is who:
            del self._followers[node]
            self.calculator.leave(node)

    def _on_change(self, keys: Collection[str]) -> None:
        for key in keys:
            try:
                self._take(key, self._reflector.kvs.get(key))
            except Exception as bug:
                parking.park(log, "calculation of policies", key, bug)
        self._tell()

    def _tell(self) -> None:
        for node in self.calculator.flush():
            if node in self._followers:
                self._followers[node][1]()

    def _take(self, key: str, kv: KeyValue | None) -> None:
        found = parse_key(key)
        resource_type = RESOURCE_TYPES[found[0].kind] if found else None
        if found is None or resource_type is None or resource_type not in FOLLOWED:
            return
        read = self._read(resource_type, kv) if kv is not None else None
        if read is None:
            self._drop(resource_type, found[1].namespace, found[1].name)
        else:
            put(self.calculator, read)

    def _read(self, resource_type: type[Resource], kv: KeyValue) -> reading.Thing | None:
        """The key's value; one that cannot be read is logged and is as if it were not there."""
        try:
            return reading.thing(decode(resource_type, kv))
        except Unreadable as error:
            log.warning("left out: %s", error)
            return None

    def _drop(self, resource_type: type[Resource], namespace: str, name: str) -> None:
        if resource_type is endpoints.Profile:
            self.calculator.drop_profile(name)
        elif resource_type is tiers.Tier:
            self.calculator.drop_tier(name)
        elif resource_type is policies.NetworkPolicy:
            self.calculator.drop_policy(reading.policy_id(namespace, name))
        elif resource_type is policies.GlobalNetworkPolicy:
            self.calculator.drop_policy(PolicyId(resource_type.KIND, "", name))
        else:
            self.calculator.drop_endpoint(EndpointId(resource_type.KIND, namespace, name))


def put(calculator: Calculator, thing: reading.Thing) -> None:
    """Enter an object into a calculation, or change it."""
    match thing:
        case Endpoint():
            calculator.put_endpoint(thing)
        case Policy():
            calculator.put_policy(thing)
        case Profile():
            calculator.put_profile(thing)
        case Tier():
            calculator.put_tier(thing)
