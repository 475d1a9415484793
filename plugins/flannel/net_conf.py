"""net-conf.json: which addresses the pods have, how they are cut into subnets, and by which backend.

A range is one address family. Keys are matched without regard to case, as Go's JSON does. `check`
returns every problem at once, each with the path of its key; a configuration without problems is a
`NetConf`, in which nothing is left to default.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from fabric.errors import BadInput, Problem
from fabric.netstate.objects import Family, IPAddress, IPNetwork
from fabric.plugin.contract import NetworkConfig

Document = dict[str, Any]
Problems = list[tuple[str, str]]

DEFAULT_BACKEND = "vxlan"
# flannel's documentation names vxlan as the default, its code takes udp when Backend is absent. The
# documentation is what people rely on, and what kube-flannel's manifest says.


@dataclass(frozen=True, slots=True)
class _FamilyRule:
    """The rules of an address family: names of its keys, and limits as prefix lengths."""

    prefix: str
    network_max: int
    subnet_len: int
    subnet_len_max: int


_RULES: dict[Family, _FamilyRule] = {4: _FamilyRule("", 28, 24, 30), 6: _FamilyRule("IPv6", 124, 64, 126)}
_RANGE_KEYS = tuple(
    rule.prefix + key for rule in _RULES.values() for key in ("SubnetLen", "SubnetMin", "SubnetMax")
)


@dataclass(frozen=True, slots=True)
class Range:
    """The pod addresses of one family, cut into subnets of one size."""

    network: IPNetwork
    subnet_len: int
    first: IPNetwork
    """SubnetMin: the lowest subnet that may be given out."""
    last: IPNetwork
    """SubnetMax, itself included."""

    @property
    def family(self) -> Family:
        return 4 if self.network.version == 4 else 6

    @property
    def size(self) -> int:
        """Subnets that may be given out."""
        step = self.first.num_addresses
        return (int(self.last.network_address) - int(self.first.network_address)) // step + 1

    def subnets(self) -> Iterator[IPNetwork]:
        """Yield the subnets from SubnetMin up to SubnetMax."""
        return map(self.subnet, range(self.size))

    def subnet(self, number: int) -> IPNetwork:
        """Return a subnet by its number; SubnetMin has 0."""
        return _network(self.first.network_address + number * self.first.num_addresses, self.subnet_len)

    def allows(self, subnet: IPNetwork) -> bool:
        """True when this subnet may be given out as the configuration stands now."""
        if subnet.version != self.network.version or subnet.prefixlen != self.subnet_len:
            return False
        return (
            int(self.first.network_address) <= int(subnet.network_address) <= int(self.last.network_address)
        )


@dataclass(frozen=True, slots=True)
class NetConf:
    """A checked configuration."""

    ranges: tuple[Range, ...]
    """One per family, IPv4 first."""
    backend: str = DEFAULT_BACKEND
    options: Mapping[str, Any] = field(default_factory=dict)
    """The backend's own keys, in its own spelling, defaults filled in."""

    @property
    def networks(self) -> tuple[IPNetwork, ...]:
        return tuple(range_.network for range_ in self.ranges)


@dataclass(frozen=True, slots=True)
class Option:
    """An option is a key of a backend: its default, and what is allowed."""

    default: int | bool
    low: int = 0
    high: int = 0

    def complaint(self, value: object) -> str:
        """Return what is wrong with the value, or nothing."""
        if isinstance(self.default, bool):
            return "" if isinstance(value, bool) else f"{value!r} is not true or false"
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            return f"{value!r} is not a whole number from {self.low} to {self.high}"
        return ""


Backends = Mapping[str, Mapping[str, Option]]
"""Backend types with the options that each of them takes."""


ENDPOINTS = "endpoints"
"""The one option that is no key of net-conf.json: false where another plugin hangs pods on the nodes."""


def attaches_pods(config: NetworkConfig) -> bool:
    """True when pods hang on this plugin's bridge; it only carries packets between nodes otherwise."""
    return config.options.get(ENDPOINTS) is not False


def document(config: NetworkConfig, backends: Backends) -> Document:
    """Return net-conf.json for a topology's `network` section, with what it says and no defaults.

    Keys that are no range's go to the backend, where `check` judges them.
    """
    families = {cidr.version for cidr in config.pod_cidrs}
    doc: Document = {} if 4 in families else {"EnableIPv4": False}
    for cidr in sorted(config.pod_cidrs, key=lambda cidr: cidr.version):
        if cidr.version == 6:
            doc["EnableIPv6"] = True
        doc[_RULES[4 if cidr.version == 4 else 6].prefix + "Network"] = str(cidr)
    backend: Document = {"Type": config.backend or DEFAULT_BACKEND}
    known = backends.get(backend["Type"], {})
    for key, value in config.options.items():
        if key == ENDPOINTS:
            continue
        if name := _spelled(key, _RANGE_KEYS):
            doc[name] = value
        else:
            backend[_spelled(key, known) or key] = value
    return doc | {"Backend": backend}


def parse(data: bytes, where: str, backends: Backends) -> NetConf:
    """Read what the store holds; BadInput names every problem and the key `where` it stands."""
    try:
        doc = json.loads(data)
    except ValueError as error:
        raise BadInput(Problem(where, f"not JSON: {error}")) from error
    if not isinstance(doc, dict):
        raise BadInput(Problem(where, "a JSON object with Network and Backend is expected"))
    conf, problems = check(doc, backends)
    if conf is None:
        raise BadInput(*(Problem(where, f"{path}: {what}") for path, what in problems))
    return conf


def check(doc: Document, backends: Backends) -> tuple[NetConf | None, Sequence[tuple[str, str]]]:
    """Return the configuration, or None with all its problems: path of the key, what and what is allowed."""
    problems: Problems = []
    low = {key.lower(): value for key, value in doc.items()}
    v4: tuple[Family, ...] = (4,) if low.get("enableipv4", True) else ()
    v6: tuple[Family, ...] = (6,) if low.get("enableipv6", False) else ()
    enabled = v4 + v6
    if not enabled:
        problems.append(("EnableIPv4", "neither IPv4 nor IPv6 is enabled"))
    ranges = [_range(low, family, problems) for family in enabled]
    backend = low.get("backend", {"Type": DEFAULT_BACKEND})
    type_, options = _backend(backend, backends, problems)
    if problems:
        return None, problems
    return NetConf(tuple(r for r in ranges if r is not None), type_, options), ()


def _range(low: Document, family: Family, problems: Problems) -> Range | None:
    rule = _RULES[family]
    key = rule.prefix + "Network"
    text = low.get(key.lower())
    try:
        network = ip_network(str(text))
    except ValueError:
        problems.append((key, f"{text!r} is not an IPv{family} network such as {_example(family)}"))
        return None
    if network.version != family:
        problems.append((key, f"{network} is not an IPv{family} network such as {_example(family)}"))
        return None
    if network.prefixlen > rule.network_max:
        problems.append((key, f"{network} is too small: a prefix of at most /{rule.network_max} is allowed"))
        return None
    length = _subnet_len(low, rule, network, problems)
    if length is None:
        return None
    return _bounded(low, rule, network, length, problems)


def _subnet_len(low: Document, rule: _FamilyRule, network: IPNetwork, problems: Problems) -> int | None:
    key = rule.prefix + "SubnetLen"
    least = network.prefixlen + 2
    value = low.get(key.lower()) or max(rule.subnet_len, least)
    most = rule.subnet_len_max
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        problems.append((key, f"{value!r} is not allowed: from {least} to {most} in {network}"))
        return None
    return value


def _bounded(
    low: Document, rule: _FamilyRule, network: IPNetwork, length: int, problems: Problems
) -> Range | None:
    step = 1 << (network.max_prefixlen - length)
    # The first subnet is left out: its addresses look like the network's own (10.244.0.0).
    first = _bound(low, rule.prefix + "SubnetMin", network, length, network.network_address + step, problems)
    last_address = network.network_address + (network.num_addresses - step)
    last = _bound(low, rule.prefix + "SubnetMax", network, length, last_address, problems)
    if first is None or last is None:
        return None
    if int(first.network_address) > int(last.network_address):
        what = f"{last.network_address} is below SubnetMin {first.network_address}"
        problems.append((rule.prefix + "SubnetMax", what))
        return None
    return Range(network, length, first, last)


def _bound(
    low: Document, key: str, network: IPNetwork, length: int, default: IPAddress, problems: Problems
) -> IPNetwork | None:
    text = low.get(key.lower())
    try:
        address = default if text is None else ip_address(str(text))
        subnet = _network(address, length)
    except ValueError:
        wanted = f"the first address of a /{length} inside {network}, such as {default}"
        problems.append((key, f"{text!r} is not {wanted}"))
        return None
    if address not in network:
        problems.append((key, f"{address} is not inside {network}"))
        return None
    return subnet


def _backend(backend: object, backends: Backends, problems: Problems) -> tuple[str, dict[str, Any]]:
    if not isinstance(backend, Mapping):
        problems.append(("Backend", f"{backend!r} is not an object with a Type"))
        return "", {}
    given = dict(backend)
    type_key = _spelled("Type", given)
    type_ = given.pop(type_key) if type_key else DEFAULT_BACKEND
    if type_ not in backends:
        problems.append(
            ("Backend.Type", f"{type_!r} is not supported (allowed: {', '.join(sorted(backends))})")
        )
        return "", {}
    known = backends[type_]
    options: dict[str, Any] = {name: option.default for name, option in known.items()}
    for key, value in given.items():
        name = _spelled(key, known)
        if name is None:
            allowed = ", ".join((*sorted(known), *_RANGE_KEYS))
            problems.append(
                (f"Backend.{key}", f"unknown option {key!r} for backend {type_} (allowed: {allowed})")
            )
        elif complaint := known[name].complaint(value):
            problems.append((f"Backend.{name}", complaint))
        else:
            options[name] = value
    return type_, options


def _spelled(key: object, names: Mapping[str, Any] | Sequence[str]) -> str | None:
    """The name that `key` means, whatever its case."""
    return next((name for name in names if name.lower() == str(key).lower()), None)


def _network(address: IPAddress, length: int) -> IPNetwork:
    return ip_network((address, length))


def _example(family: Family) -> str:
    return "10.244.0.0/16" if family == 4 else "fd00:10:244::/48"
