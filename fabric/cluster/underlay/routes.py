"""BGP has done its work when every router's kernel has a route to the subnet of every node."""

from __future__ import annotations

from collections.abc import Set

from fabric.cluster.paths import ClusterPaths
from fabric.cluster.runtimes import all_connections
from fabric.cluster.spec import ClusterSpec
from fabric.cluster.underlay.state import Underlay
from fabric.kernel.linux import LinuxKernel
from fabric.netstate.objects import IPNetwork, NetState, Route
from fabric.netstate.port import Owner

BIRD = 12
"""rtm_protocol of what BIRD writes."""
_OWNER = Owner("bird", frozenset({Route}), lambda obj: isinstance(obj, Route) and obj.proto == BIRD)
SHOWN_MAX = 3


class FabricRoutes:
    """The progress of all routers; one that was complete once is not looked at again."""

    def __init__(self, paths: ClusterPaths, spec: ClusterSpec) -> None:
        self._paths = paths
        self._spec = spec
        self._missing = wanted(Underlay.of(spec))
        self._total = len(self._missing)

    async def look(self) -> tuple[int, int, str]:
        """Return (routers that are complete, routers, what is missing)."""
        pids: dict[str, int] = {}
        async with all_connections(self._paths, self._spec.workers) as runtimes:
            for runtime in runtimes:
                pids |= await runtime.nodes()
        kernel = LinuxKernel(pids)
        try:
            for router, networks in list(self._missing.items()):
                self._missing[router] = networks - _destinations(await kernel.host(router).read(_OWNER))
        finally:
            kernel.close()
        self._missing = {router: networks for router, networks in self._missing.items() if networks}
        late = [f"{router} to {sorted(map(str, it))[0]}" for router, it in self._missing.items()]
        more = f" and from {len(late) - SHOWN_MAX} more" if len(late) > SHOWN_MAX else ""
        text = f"no route from {', '.join(late[:SHOWN_MAX])}{more}" if late else ""
        return self._total - len(late), self._total, text


def wanted(underlay: Underlay) -> dict[str, Set[IPNetwork]]:
    """Return the subnets that each router must hear of: those of segments that it is not in itself."""
    subnets = set(underlay.addresses.subnets.values())
    return {name: subnets - set(speaker.host_subnets) for name, speaker in underlay.speakers.items()}


def _destinations(state: NetState) -> Set[IPNetwork]:
    return {obj.dst for obj in state if isinstance(obj, Route)}
