"""Rules of policies and profiles: which packets, and what becomes of them.

A packet must match everything that a rule says; what a rule does not say matches all. Each positive match has
a negated one beside it, and both must hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from calico.resources import numbers_or_names, readers
from calico.resources.envelope import annotation_refusals
from calico.resources.fields import key, takes
from calico.resources.numbers_or_names import Port, has_ports, port, protocol_number
from calico.resources.readers import (
    choice,
    listed,
    mapping,
    nested,
    number,
    or_empty,
    subdomain,
    subnet,
    text,
)
from calico.resources.refusals import Refusal
from calico.selector import Selector
from fabric.netstate.objects import Family, IPNetwork

ACTIONS = ("Allow", "Deny", "Log", "Pass")
GLOBAL = "global()"
GLOBAL_ONLY_IN_RULES = f"{GLOBAL} can only be used in an EntityRule namespaceSelector"
_ICMP: Mapping[int, tuple[str, Family]] = {1: ("icmp", 4), 58: ("icmpv6", 6)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceMatch:
    """The endpoints behind a Kubernetes Service, each with its own ports."""

    name: str = key("name", subdomain)
    namespace: str = key("namespace", or_empty(subdomain), default="")
    """Empty: the policy's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountMatch:
    """Pods by their service account; names and selector must both hold."""

    names: tuple[str, ...] = key("names", listed(text), default=())
    selector: str = key("selector", readers.selector, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityRule:
    """A side of a packet: its source, or its destination."""

    nets: tuple[IPNetwork, ...] = key("nets", listed(subnet), default=())
    selector: str = key("selector", readers.selector, default="")
    namespace_selector: str = key("namespaceSelector", readers.selector, default="")
    """Empty: a NetworkPolicy's own namespace, any for a GlobalNetworkPolicy; `global()`: no pods."""
    services: ServiceMatch | None = key("services", nested(ServiceMatch), default=None)
    ports: tuple[Port, ...] = key("ports", listed(port), default=())
    not_nets: tuple[IPNetwork, ...] = key("notNets", listed(subnet), default=())
    not_selector: str = key("notSelector", readers.selector, default="")
    not_ports: tuple[Port, ...] = key("notPorts", listed(port), default=())
    service_accounts: ServiceAccountMatch | None = key(
        "serviceAccounts", nested(ServiceAccountMatch), default=None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ICMPFields:
    type: int | None = key("type", number(0, 254), default=None)
    code: int | None = key("code", number(0, 255), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleMetadata:
    """Notes of a rule's author; no packet knows of them."""

    annotations: Mapping[str, str] = key("annotations", mapping, default={})

    def __hash__(self) -> int:
        """Return a hash, as rules have one, and a mapping has none."""
        return hash(tuple(sorted(self.annotations.items())))


@takes(type="integer", enum=[4, 6])
def _ip_version(value: Any, path: str, refusals: list[Refusal]) -> Any:
    if isinstance(value, bool) or value not in (4, 6):
        refusals.append(Refusal(path, "must be 4 or 6", value))
    return value


@takes(type="object", **{"x-kubernetes-preserve-unknown-fields": True})
def _http(value: Any, path: str, refusals: list[Refusal]) -> None:
    reason = "HTTP is matched by the sidecars of Istio, which there are none of: leave it out"
    refusals.append(Refusal(path, reason, value))


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """Rule of Calico's API; Log lets the packet go on to the next one."""

    action: str = key("action", choice(*ACTIONS))
    """Pass leaves the other policies of the tier out."""
    ip_version: int | None = key("ipVersion", _ip_version, default=None)
    protocol: str | int | None = key("protocol", numbers_or_names.protocol, default=None)
    icmp: ICMPFields | None = key("icmp", nested(ICMPFields), default=None)
    not_protocol: str | int | None = key("notProtocol", numbers_or_names.protocol, default=None)
    not_icmp: ICMPFields | None = key("notICMP", nested(ICMPFields), default=None)
    source: EntityRule = key("source", nested(EntityRule), default=EntityRule())
    destination: EntityRule = key("destination", nested(EntityRule), default=EntityRule())
    http: None = key("http", _http, default=None)
    metadata: RuleMetadata | None = key("metadata", nested(RuleMetadata), default=None)

    @property
    def protocol_number(self) -> int | None:
        """IANA's number; None for any protocol."""
        return protocol_number(self.protocol)

    @property
    def not_protocol_number(self) -> int | None:
        return protocol_number(self.not_protocol)


rules = listed(nested(PolicyRule))
"""The reader of `ingress` and `egress`."""


def rule_refusals(path: str, rule: PolicyRule) -> Iterator[Refusal]:
    """The refusals of matches that contradict each other, each at its field."""
    yield from _ports(path, rule)
    yield from _icmp(path, rule)
    yield from _families(path, rule)
    yield from _entity(f"{path}.source", rule.source)
    yield from _entity(f"{path}.destination", rule.destination)
    if rule.destination.services is not None:
        for field in ("ports", "notPorts"):
            if given := _given(rule.destination, field):
                reason = f"cannot specify {field.lower()} with a service selector"
                yield Refusal(f"{path}.destination.{field}", reason, _texts(given))
    if rule.metadata is not None:
        yield from annotation_refusals(f"{path}.metadata.annotations", rule.metadata.annotations)


def _given(entity: EntityRule, name: str) -> Any:
    attribute = next(it.name for it in fields(entity) if it.metadata["json"] == name)
    return getattr(entity, attribute)


def _texts(values: Any) -> str:
    return ", ".join(map(str, values))


def _ports(path: str, rule: PolicyRule) -> Iterator[Refusal]:
    if has_ports(rule.protocol):
        return
    reason = "rules that specify ports must set protocol to TCP or UDP or SCTP"
    for side, entity in (("source", rule.source), ("destination", rule.destination)):
        for field in ("ports", "notPorts"):
            if given := _given(entity, field):
                yield Refusal(f"{path}.{side}.{field}", reason, _texts(given))


def _icmp(path: str, rule: PolicyRule) -> Iterator[Refusal]:
    for field, icmp in (("icmp", rule.icmp), ("notICMP", rule.not_icmp)):
        if icmp is not None and rule.protocol_number not in _ICMP:
            reason = "rules that specify ICMP fields must set protocol to ICMP or ICMPv6"
            yield Refusal(f"{path}.{field}", reason, rule.protocol)
        if icmp is not None and icmp.code is not None and icmp.type is None:
            reason = "ICMP code specified without an ICMP type"
            yield Refusal(f"{path}.{field}.code", reason, icmp.code)
    for given in (rule.protocol_number, rule.not_protocol_number):
        name, family = _ICMP.get(given or 0, ("", rule.ip_version))
        if rule.ip_version is not None and rule.ip_version != family:
            reason = f"must set ipversion to '{family}' with protocol {name}"
            yield Refusal(f"{path}.ipVersion", reason, rule.ip_version)


def _families(path: str, rule: PolicyRule) -> Iterator[Refusal]:
    """A rule's networks are all of one IP version, which is the rule's, if it says one."""
    seen: set[int] = set()
    for side, entity in (("source", rule.source), ("destination", rule.destination)):
        for field in ("nets", "notNets"):
            networks = _given(entity, field)
            own = {network.version for network in networks}
            if rule.ip_version is not None and own - {rule.ip_version}:
                reason = "rule IP version doesn't match CIDR version"
                yield Refusal(f"{path}.{side}.{field}", reason, _texts(networks))
            elif len(seen | own) > 1 and own:
                reason = "rule contains both IPv4 and IPv6 CIDRs"
                yield Refusal(f"{path}.{side}.{field}", reason, _texts(networks))
            seen |= own


def _entity(path: str, entity: EntityRule) -> Iterator[Refusal]:
    for field in ("selector", "notSelector"):
        if GLOBAL in canonical(_given(entity, field)):
            yield Refusal(f"{path}.{field}", GLOBAL_ONLY_IN_RULES, _given(entity, field))
    if GLOBAL in (whole := canonical(entity.namespace_selector)) and whole != GLOBAL:
        reason = f"{GLOBAL} cannot be combined with other selectors"
        yield Refusal(f"{path}.namespaceSelector", reason, entity.namespace_selector)
    if entity.services is not None:
        yield from _beside_services(f"{path}.services", entity)


def _beside_services(path: str, entity: EntityRule) -> Iterator[Refusal]:
    found = {
        "NamespaceSelector": entity.namespace_selector,
        "Selector/NotSelector": entity.selector or entity.not_selector,
        "ServiceAccounts": entity.service_accounts is not None,
        "Nets/NotNets": entity.nets or entity.not_nets,
    }
    for name, given in found.items():
        if given:
            yield Refusal(path, f"cannot specify {name} and Services on the same rule")


def canonical(given: str) -> str:
    """A selector in the one form that all its spellings share; empty where it is."""
    return str(Selector.parse(given)) if given else ""
