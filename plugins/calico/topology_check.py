"""The check of a topology's `network` section: what Calico can tell of it before anything runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from calico import encapsulation
from calico.bgp.peering import Peering
from calico.bgp.peers import FAMILIES, Speaker
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_filters import BGPFilter
from calico.resources.bgp_peers import BGPPeer
from calico.resources.consistency import isolated_nodes, overlapping_pools, peering, pools_outside
from calico.resources.felix import FelixConfiguration, effective
from calico.resources.nodes import Node, NodeBGP
from calico.resources.policies import POLICIES
from calico.resources.refusals import Refusal
from calico.resources.tiers import OWN, Tier
from calico.settings import Finding, NodeRule, Settings, finding, settings
from fabric.errors import plural
from fabric.netstate.objects import IPAddress
from fabric.plugin.contract import BgpSpeaker, NetworkConfig, NodeFacts

MTU_MIN = {4: 576, 6: 1280}
"""RFC 791 and RFC 8200."""


def problems(config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Sequence[Finding]:
    """Return (path below `network`, what is wrong and what is allowed)."""
    found, findings = settings(config)
    if findings:
        return findings
    return (
        *_twice(found),
        *_pools(found, config),
        *_room(found, config, nodes),
        *_nodes(found, nodes),
        *_peering(found, nodes),
        *_mtu(found, config, nodes),
        *_tiers(found),
    )


def registered(facts: NodeFacts, rules: Sequence[NodeRule]) -> Node:
    """The Node that a node first registers as; of rules that select it the later wins, field by field."""
    bgp: dict[str, Any] = {}
    for address in facts.addresses:
        bgp.setdefault(f"ipv{address.version}_address", address)
    for rule in rules:
        if rule.selects(facts.labels):
            if rule.as_number is not None:
                bgp["as_number"] = rule.as_number
            if rule.route_reflector_cluster_id is not None:
                bgp["route_reflector_cluster_id"] = str(rule.route_reflector_cluster_id)
    return Node.named(facts.name, labels=dict(facts.labels), bgp=NodeBGP(**bgp))


def _twice(found: Settings) -> Iterator[Finding]:
    every = [(it.KIND, it.name, it.metadata.namespace) for it in (*found.pools, *found.resources)]
    for (kind, name, _), count in Counter(every).items():
        if count > 1:
            yield found.at[kind, name], f"{count} objects {kind}({name}); names of a kind must differ"


def _pools(found: Settings, config: NetworkConfig) -> Iterator[Finding]:
    for name, refusal in (*overlapping_pools(found.pools), *pools_outside(found.pools, config.pod_cidrs)):
        yield finding(found.at["IPPool", name], refusal)
    if found.backend != "none" and not any(not pool.spec.disabled for pool in found.pools):
        yield "options.ipPools", "no pool is enabled; pods need one that is"
    if found.backend == "vxlan":
        for pool in found.pools:
            spec = pool.spec
            if spec.encapsulation == "vxlan" and spec.vxlan_mode == "Always":
                continue
            reason = f"{pool.name}: backend vxlan runs no BGP, so that a pool must have vxlanMode Always"
            ipip, vxlan = ("spec.ipipMode", spec.ipip_mode), ("spec.vxlanMode", spec.vxlan_mode)
            path, value = ipip if spec.encapsulation == "ipip" else vxlan
            yield finding(found.at["IPPool", pool.name], Refusal(path, reason, value))


def _room(found: Settings, config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Iterator[Finding]:
    """A pool that podCIDR becomes needs an address for a pod, and one for the tunnel, on each node."""
    if "ipPools" in config.options:
        return
    for pool in found.pools:
        spec = pool.spec
        each = 2 if spec.encapsulation else 1
        if spec.cidr in config.pod_cidrs and spec.cidr.num_addresses < each * len(nodes):
            use = "an address for a pod" + (" and one for its tunnel" if spec.encapsulation else "")
            have = f"{spec.cidr} has {plural(spec.cidr.num_addresses, 'address')}"
            yield (
                "/podCIDR",
                f"{have} for {plural(len(nodes), 'node')}, each of which needs {use}: use a larger one",
            )


def _tiers(found: Settings) -> Iterator[Finding]:
    """Policies in tiers that nobody makes."""
    tiers = {it.name for it in found.resources if isinstance(it, Tier)} | OWN.keys()
    for policy in found.resources:
        if isinstance(policy, POLICIES) and policy.spec.tier not in tiers:
            tier = policy.spec.tier
            reason = f"there is no tier {tier}; add it to options.resources"
            yield finding(found.at[policy.KIND, policy.name], Refusal("spec.tier", reason, tier))


def _nodes(found: Settings, nodes: Sequence[NodeFacts]) -> Iterator[Finding]:
    for index, rule in enumerate(found.rules):
        if nodes and not any(rule.selects(facts.labels) for facts in nodes):
            yield f"options.nodes[{index}].nodeSelector", f"{rule.node_selector} selects none of the nodes"
    families = {pool.spec.family for pool in found.pools}
    for facts in nodes:
        missing = families - {address.version for address in facts.addresses}
        if missing:
            have = ", ".join(map(str, facts.addresses)) or "none"
            what = f"{facts.name} needs an underlay address of IPv{min(missing)}, as its pool has"
            yield "plugin", f"{what}; it has {have}"


def _peering(found: Settings, nodes: Sequence[NodeFacts]) -> Iterator[Finding]:
    peers = [it for it in found.resources if isinstance(it, BGPPeer)]
    if not found.runs_bird:
        for peer in peers:
            yield found.at["BGPPeer", peer.name], f"backend {found.backend} runs no BGP: leave the peer out"
        return
    registrations = [registered(facts, found.rules) for facts in nodes]
    filters = [it for it in found.resources if isinstance(it, BGPFilter)]
    for name, refusal in peering(peers, registrations, filters):
        yield finding(found.at["BGPPeer", name], refusal)
    default = next(
        (it for it in found.resources if isinstance(it, BGPConfiguration) and it.name == "default"), None
    )
    for name, refusal in isolated_nodes(registrations, peers, default):
        yield "options.resources", f"Node({name}): {refusal.reason}; add a BGPPeer, or leave the mesh on"


def _mtu(found: Settings, config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Iterator[Finding]:
    if found.backend == "none":
        return
    least = max((MTU_MIN[pool.spec.family] for pool in found.pools), default=MTU_MIN[4])
    felix = {it.name: it for it in found.resources if isinstance(it, FelixConfiguration)}

    def most_of(facts: NodeFacts) -> int:
        what = effective(felix.get("default"), felix.get(f"node.{facts.name}"))
        return encapsulation.pod_mtu(facts.mtu, found.pools, what)

    most = min(map(most_of, nodes), default=0)
    if nodes and most < least:
        yield "mtu", f"the pools' encapsulation leaves pods an MTU of {most}; at least {least} is needed"
    elif nodes and config.mtu and not least <= config.mtu <= most:
        yield "mtu", f"{config.mtu} does not fit: from {least} to {most} with the pools' encapsulation"


def bgp_speakers(settings: Settings, nodes: Sequence[NodeFacts]) -> Mapping[str, BgpSpeaker]:
    """Return each node's peers as they first are: the mesh's, and those of the topology's BGPPeers."""
    if not settings.runs_bird:
        return {}
    found = {facts.name: registered(facts, settings.rules) for facts in nodes}
    peers = {it.name: it for it in settings.resources if isinstance(it, BGPPeer)}
    configurations = {it.name: it for it in settings.resources if isinstance(it, BGPConfiguration)}
    peering = Peering(found, peers, configurations)
    return {
        name: BgpSpeaker(
            frozenset(_ends(me, peering)) - {me.address(family) for family in FAMILIES}, me.cluster_id
        )
        for name, me in peering.speakers.items()
    }


def _ends(me: Speaker, peering: Peering) -> Iterator[IPAddress]:
    """The addresses of a node's peers."""
    yield from (peer.address for peer in peering.chosen(me) if me.address(peer.family) is not None)
    for family in FAMILIES if not me.cluster_id else ():
        if me.address(family) is not None:
            yield from filter(None, (member.address(family) for member in peering.mesh_members))
