"""A topology's `network` section as Calico takes it: the backend, the pools, and resources to begin with.

    network:
      plugin: calico
      backend: bird               # bird (BGP; the default), vxlan (no BGP), none (another carries the pods)
      options:
        ipipMode: CrossSubnet     # of the pool that podCIDR becomes; so vxlanMode, blockSize, natOutgoing
        ipPools:                  # instead: pools of your own
          - {name: pool-1, cidr: 10.244.0.0/17, vxlanMode: Always}
        nodes:                    # what nodes say of themselves when they first register
          - {nodeSelector: "rack == '1'", asNumber: 65001}
        resources: []             # any objects of projectcalico.org/v3: BGPConfiguration, BGPPeer, …

Everything is found wrong here, with its path, before anything is built.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from calico.resources.allocation import BlockAffinity
from calico.resources.endpoints import ClusterInformation, Profile, WorkloadEndpoint
from calico.resources.envelope import API_VERSION, Resource
from calico.resources.fields import key, read
from calico.resources.nodes import Node
from calico.resources.pools import BLOCK_SIZE_DEFAULT, IPPool
from calico.resources.readers import address, as_number, of_family, selector
from calico.resources.refusals import InvalidResource, Refusal
from calico.resources.table import RESOURCE_TYPES
from calico.selector import Selector
from fabric.netstate.objects import Family, IPNetwork
from fabric.plugin.contract import NetworkConfig

BACKENDS = ("bird", "vxlan", "none")
POOL_KEYS = ("ipipMode", "vxlanMode", "blockSize", "natOutgoing")
OPTIONS = (*POOL_KEYS, "ipPools", "nodes", "resources", "subnetFile")
Finding = tuple[str, str]
"""(path below `network`, what is wrong)."""
_OWN = "this kind Calico writes itself"
NOT_WRITTEN: Mapping[type[Resource], str] = {
    Node: "nodes register themselves (options.nodes)",
    BlockAffinity: _OWN,
    ClusterInformation: _OWN,
    Profile: _OWN,
    WorkloadEndpoint: _OWN,
}
"""Kinds that are no resources to begin with, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRule:
    """Settings of the nodes that a selector selects, which they register."""

    node_selector: str = key("nodeSelector", selector, default="all()")
    as_number: int | None = key("asNumber", as_number, default=None)
    route_reflector_cluster_id: IPv4Address | None = key(
        "routeReflectorClusterID", of_family(address, 4), default=None
    )

    def selects(self, labels: Mapping[str, str]) -> bool:
        return Selector.parse(self.node_selector).matches(labels)


@dataclass(frozen=True, slots=True)
class Settings:
    """The section, read; `at` has where each resource stands in it."""

    backend: str = "bird"
    pools: tuple[IPPool, ...] = ()
    resources: tuple[Resource, ...] = ()
    """Pools are not among them."""
    rules: tuple[NodeRule, ...] = ()
    subnet_file: str = ""
    """Pods get addresses by host-local from the subnet that this file of the node names, not from pools."""
    at: Mapping[tuple[str, str], str] = ()  # type: ignore[assignment]
    """Path below `network` by (kind, name)."""

    @property
    def runs_bird(self) -> bool:
        return self.backend == "bird"


def settings(config: NetworkConfig) -> tuple[Settings, tuple[Finding, ...]]:
    """Read the section; the findings are all that is wrong with it by itself."""
    findings: list[Finding] = []
    backend = config.backend or BACKENDS[0]
    if backend not in BACKENDS:
        findings.append(("backend", f"calico has no backend {backend!r}; allowed: {', '.join(BACKENDS)}"))
    allowed = ", ".join(OPTIONS)
    findings += [
        (f"options.{name}", f"calico has no such option; allowed: {allowed}")
        for name in config.options
        if name not in OPTIONS
    ]
    at: dict[tuple[str, str], str] = {}
    pools = tuple(_pools(config, backend, at, findings))
    resources = tuple(_resources(config, at, findings))
    found = Settings(
        backend,
        (*pools, *(it for it in resources if isinstance(it, IPPool))),
        tuple(it for it in resources if not isinstance(it, IPPool)),
        tuple(_rules(config, findings)),
        _subnet_file(config, backend, findings),
        at,
    )
    return found, tuple(findings)


def pool_name(cidr: IPNetwork) -> str:
    """The name of the pool that a pod CIDR becomes: `default-ipv4-ippool`."""
    return f"default-ipv{cidr.version}-ippool"


def _pools(
    config: NetworkConfig, backend: str, at: dict[tuple[str, str], str], findings: list[Finding]
) -> Iterator[IPPool]:
    if backend == "none":
        return
    listed = config.options.get("ipPools")
    if listed is None:
        default = {name: config.options[name] for name in POOL_KEYS if name in config.options}
        for cidr in config.pod_cidrs:
            spec = {"cidr": str(cidr), **_encapsulation(backend, cidr, default)}
            yield from _pool(pool_name(cidr), spec, "options", at, findings)
        return
    findings += [
        (f"options.{name}", f"{name} is the default pool's; say it in each of ipPools")
        for name in POOL_KEYS
        if name in config.options
    ]
    if not isinstance(listed, list) or not listed:
        findings.append(("options.ipPools", "a list of pools is expected, each with its cidr"))
        return
    for index, value in enumerate(listed):
        path = f"options.ipPools[{index}]"
        if not isinstance(value, dict):
            findings.append((path, "an object is expected, with its cidr"))
            continue
        spec = {name: found for name, found in value.items() if name != "name"}
        yield from _pool(str(value.get("name") or f"pool-{index + 1}"), spec, path, at, findings)


def _encapsulation(backend: str, cidr: IPNetwork, given: dict[str, Any]) -> dict[str, Any]:
    """The default pool: VXLAN between subnets, or always where there is no BGP; and NAT to the outside."""
    modes: dict[str, Any] = {}
    if "ipipMode" not in given and "vxlanMode" not in given:
        modes = {"vxlanMode": "Always" if backend == "vxlan" else "CrossSubnet"}
    return {"natOutgoing": cidr.version == 4, "blockSize": _block_size(cidr)} | modes | given


def _block_size(cidr: IPNetwork) -> int:
    family: Family = 4 if cidr.version == 4 else 6
    return max(BLOCK_SIZE_DEFAULT[family], cidr.prefixlen)


def _pool(
    name: str,
    spec: dict[str, Any],
    path: str,
    at: dict[tuple[str, str], str],
    findings: list[Finding],
) -> Iterator[IPPool]:
    at["IPPool", name] = path
    try:
        yield IPPool.from_manifest({"metadata": {"name": name}, "spec": spec})
    except InvalidResource as error:
        findings += [finding(path, refusal) for refusal in error.refusals]


def finding(path: str, refusal: Refusal) -> Finding:
    """A refusal of a resource as one of the section, where the resource stands at `path`."""
    field = refusal.path.removeprefix("spec.").removeprefix("metadata.")
    if path == "options" and field not in POOL_KEYS:
        return "/podCIDR", f"the pool that it becomes: {field}: {refusal.reason_with_value}"
    if "resources" in path:
        field = refusal.path
    return f"{path}.{field}", refusal.reason_with_value


def _resources(
    config: NetworkConfig, at: dict[tuple[str, str], str], findings: list[Finding]
) -> Iterator[Resource]:
    listed = config.options.get("resources", [])
    if not isinstance(listed, list):
        findings.append(("options.resources", f"a list of {API_VERSION} objects is expected"))
        return
    for index, obj in enumerate(listed):
        path = f"options.resources[{index}]"
        resource_type = RESOURCE_TYPES.get(str(obj.get("kind"))) if isinstance(obj, dict) else None
        if resource_type is None or resource_type in NOT_WRITTEN or obj.get("apiVersion") != API_VERSION:
            kinds = ", ".join(sorted(name for name, it in RESOURCE_TYPES.items() if it not in NOT_WRITTEN))
            what = f"an object of {API_VERSION} is expected, of a kind among {kinds}"
            why = NOT_WRITTEN.get(resource_type or Node, NOT_WRITTEN[Node])
            findings.append((path, f"{what}; {why}"))
            continue
        try:
            resource = resource_type.from_manifest(obj)
        except InvalidResource as error:
            findings += [finding(path, refusal) for refusal in error.refusals]
            continue
        at.setdefault((resource_type.KIND, resource.name), path)
        yield resource


def _rules(config: NetworkConfig, findings: list[Finding]) -> Iterator[NodeRule]:
    listed = config.options.get("nodes", [])
    if not isinstance(listed, list):
        findings.append(("options.nodes", "a list is expected, of {nodeSelector, asNumber, …}"))
        return
    for index, value in enumerate(listed):
        refusals: list[Refusal] = []
        rule = read(NodeRule, value, "", refusals)
        findings += [
            (f"options.nodes[{index}].{it.path}".rstrip("."), it.reason_with_value) for it in refusals
        ]
        if rule is not None:
            yield rule


def _subnet_file(config: NetworkConfig, backend: str, findings: list[Finding]) -> str:
    found = config.options.get("subnetFile", "")
    if not isinstance(found, str):
        findings.append(("options.subnetFile", "the name of a file is expected"))
    elif backend == "none" and not found:
        what = "backend none needs this file of the node, which says where pods' addresses come from"
        findings.append(("options.subnetFile", what))
    elif backend != "none" and found:
        what = f"with backend {backend} pods' addresses come from pools: leave it out, or take backend none"
        findings.append(("options.subnetFile", what))
    return str(found)


def names_of(resources: Sequence[Resource]) -> frozenset[tuple[str, str]]:
    """(kind, name) of each."""
    return frozenset((it.KIND, it.name) for it in resources)
