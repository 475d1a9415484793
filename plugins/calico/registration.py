"""A node's registration: its own Node resource, with its address, its labels and its tunnels' addresses.

What rules of the topology say (AS number, cluster id) holds for the first registration; later it is the
user's. Labels follow the Kubernetes Node, as kube-controllers has it: an annotation remembers which came from
there, so that labels set by calicoctl stay. A tunnel's address is asked of the IPAM when a pool wants the
tunnel, and given back when none does. All is written at once: a Node that somebody deleted comes back with
its tunnels, so that nobody sees it without.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from calico.felix.tunnels import mac_of
from calico.ipam.allocator import Ipam, OutOfAddresses
from calico.ipam.candidates import NoPool
from calico.ipam.tunnels import IPIP, TUNNELS, VXLAN, VXLAN_V6, Tunnel, tunnel_address
from calico.kube_annotations import KubeAnnotations
from calico.resources import datastore
from calico.resources.nodes import Node, NodeAddress, NodeBGP, OrchRef
from calico.settings import NodeRule
from calico.topology_check import registered
from fabric.control.clock import Clock
from fabric.control.loop import Loop
from fabric.errors import FabricError
from fabric.plugin.contract import NodeFacts
from fabric.store.port import Store

KUBE_LABELS = "projectcalico.org/kube-labels"
NODE_IP, INTERNAL_IP = "CalicoNodeIP", "InternalIP"
RESYNC_SECONDS = 60.0


class Registration:
    """The registration of one node, kept up to date."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        facts: NodeFacts,
        rules: Sequence[NodeRule],
        ipam: Ipam | None,
        kube_labels: Callable[[], Mapping[str, str] | None],
        kube_annotations: KubeAnnotations | None = None,
    ) -> None:
        """`ipam` is None where tunnels need no addresses of pools; `kube_labels` are None while unknown."""
        self._store = store
        self._clock = clock
        self._facts = facts
        self._rules = rules
        self._ipam = ipam
        self._kube_labels = kube_labels
        self._kube_annotations = kube_annotations
        self._loop = Loop(f"registration of {facts.name}", self.reconcile, resync_seconds=RESYNC_SECONDS)

    @property
    def last_error(self) -> str:
        """Why the last pass failed; empty when it did not."""
        return self._loop.last_error

    def trigger(self) -> None:
        """Look again now: pools, labels or the Node have changed."""
        self._loop.trigger()

    async def run(self) -> None:
        """Register at the start, after `trigger` and every minute; a refusal is retried."""
        await self._loop.run()

    async def reconcile(self) -> None:
        """Allocate what is missing, write what differs; Conflict or its like when another wrote it too."""
        before = await datastore.get(self._store, Node, self._facts.name)
        node = self._labelled(before or registered(self._facts, self._rules), is_new=before is None)
        tunnels, refusals = await self._tunnels(node.labels)
        wanted = self._placed(node, tunnels)
        if before is None:
            await datastore.create(self._store, wanted, self._clock)
        elif wanted != before:
            await datastore.update(self._store, wanted)
        if self._kube_annotations is not None:
            await self._kube_annotations.write(wanted)
        if refusals:
            raise refusals[0]

    async def _tunnels(self, labels: Mapping[str, str]) -> tuple[Mapping[Tunnel, Any], list[FabricError]]:
        """Each tunnel's address; where the pools have none, None, and why."""
        found: dict[Tunnel, Any] = dict.fromkeys(TUNNELS)
        refusals: list[FabricError] = []
        families = {address.version for address in self._facts.addresses}
        for tunnel in TUNNELS:
            if self._ipam is not None and tunnel.family in families:
                try:
                    found[tunnel] = await tunnel_address(self._ipam, tunnel, labels)
                except (NoPool, OutOfAddresses) as refusal:
                    refusals.append(refusal)
        return found, refusals

    def _placed(self, node: Node, tunnels: Mapping[Tunnel, Any]) -> Node:
        """The node with its own addresses, whatever somebody made of them."""
        own: dict[str, Any] = {"ipv4_address": None, "ipv6_address": None}
        for address in reversed(self._facts.addresses):
            own[f"ipv{address.version}_address"] = address
        addresses = [NodeAddress(address=str(it), type=NODE_IP) for it in self._facts.addresses]
        addresses += [NodeAddress(address=str(it.ip), type=INTERNAL_IP) for it in self._facts.addresses]
        others = (it for it in node.spec.addresses if it.type not in (NODE_IP, INTERNAL_IP))
        spec = replace(
            node.spec,
            addresses=(*addresses, *others),
            bgp=replace(node.spec.bgp or NodeBGP(), ipv4_ipip_tunnel_addr=tunnels[IPIP], **own),
            ipv4_vxlan_tunnel_addr=tunnels[VXLAN],
            ipv6_vxlan_tunnel_addr=tunnels[VXLAN_V6],
            vxlan_tunnel_mac=mac_of(self._facts.name) if tunnels[VXLAN] else "",
            vxlan_tunnel_mac_v6=mac_of(self._facts.name) if tunnels[VXLAN_V6] else "",
            orch_refs=node.spec.orch_refs or (OrchRef(node_name=self._facts.name, orchestrator="k8s"),),
        )
        return replace(node, spec=spec)

    def _labelled(self, node: Node, *, is_new: bool) -> Node:
        """The node with the Kubernetes Node's labels; those that it had from there and has no more go.

        While they are not known, a new node has the topology's, and any other keeps its own.
        """
        kube = self._kube_labels()
        if kube is None and not is_new:
            return node
        kube = dict(self._facts.labels if kube is None else kube)
        before = _remembered(node.metadata.annotations.get(KUBE_LABELS, "{}"))
        own = {key: value for key, value in node.labels.items() if before.get(key) != value}
        compact = json.dumps(kube, sort_keys=True, separators=(",", ":"))
        annotations = {**node.metadata.annotations, KUBE_LABELS: compact}
        return replace(node, metadata=replace(node.metadata, labels=own | kube, annotations=annotations))


def _remembered(text: str) -> Mapping[str, str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
