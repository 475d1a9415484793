"""The node's annotations, by which tools that read flannel's see its backend and address.

Flannel's store here is the cluster's store, not the Node objects, so `kube-subnet-manager` is not said.
"""

from __future__ import annotations

from fabric.api.kinds import NODE
from fabric.api.objects import annotations_of
from fabric.control.backoff import Backoff
from fabric.control.client import Client
from fabric.control.loop import Loop
from flannel.leases import Lease

PREFIX = "flannel.alpha.coreos.com/"
BACKOFF = Backoff(1.0, 30.0)
RESYNC_SECONDS = 300.0


def annotations_for(lease: Lease) -> dict[str, str]:
    """Return the annotations of a node with this lease."""
    found = {f"{PREFIX}backend-type": lease.backend}
    for subnet, text in zip(lease.subnets, lease.data or ("null",) * len(lease.subnets), strict=True):
        found[f"{PREFIX}backend-{'v6-' * (subnet.version == 6)}data"] = text
    for ip in lease.public_ips:
        found[f"{PREFIX}public-ip{'v6' * (ip.version == 6)}"] = str(ip)
    return found


class NodeAnnotations:
    """The keeper of one Node's annotations; it waits for the Node as long as it takes."""

    def __init__(self, client: Client, node: str) -> None:
        self._client = client
        self._node = node
        self._wanted: dict[str, str] = {}
        self._loop = Loop(
            f"annotations of {node}", self._reconcile, resync_seconds=RESYNC_SECONDS, backoff=BACKOFF
        )

    def want(self, wanted: dict[str, str]) -> None:
        """Set what the Node shall say; an equal set does nothing."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._loop.trigger()

    async def run(self) -> None:
        """Look for ever, every five minutes or after a change; a refusal is retried after 1 s to 30 s."""
        await self._loop.run()

    async def _reconcile(self) -> None:
        if not self._wanted:
            return
        have = annotations_of(await self._client.get(NODE, self._node))
        differing = {key: value for key, value in self._wanted.items() if have.get(key) != value}
        if differing:
            patch = {"metadata": {"annotations": differing}}
            await self._client.patch(NODE, self._node, patch, field_manager="flannel")
