"""ipam check: the IPAM beside what pods and tunnels really use; all that does not fit is told and counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from calico.calicoctl import ipam_report
from calico.calicoctl.arguments import Arguments, Option, Usage
from calico.calicoctl.ipam_report import Allocation
from calico.calicoctl.session import Refused, Session, Subcommand
from calico.ipam import check as findings
from calico.ipam.check import Finding, Use, check
from calico.ipam.snapshot import Snapshot, read_snapshot
from calico.resources.datastore import listed
from calico.resources.endpoints import WorkloadEndpoint
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from fabric.netstate.objects import IPAddress

NODES_SHOWN_MAX = 20


class _Report:
    """The report on stdout; `shows_all` adds every address, `shows_problems` every misfit."""

    def __init__(self, session: Session, arguments: Arguments) -> None:
        self.say = session.say
        self.shows_all = arguments.flag("show-all-ips")
        self.shows_problems = self.shows_all or arguments.flag("show-problem-ips")
        self.problems = 0

    def blocks(self, snapshot: Snapshot, allocations: Sequence[Allocation]) -> None:
        """The addresses that the IPAM has given out, block by block."""
        self.say("Loading all IPAM blocks...")
        self.say(f"Found {len(snapshot.blocks)} IPAM blocks.")
        for cidr, block in snapshot.blocks.items():
            self.say(f" IPAM block {cidr} affinity={block.affinity or '<none>'}:")
            for one in allocations if self.shows_all else ():
                if one.address in cidr:
                    self.say(f"  {one.address} allocated; attrs {one.attributes}")
        self.say(f"IPAM blocks record {len(allocations)} allocations.\n")

    def pools(self, pools: Sequence[IPPool]) -> None:
        self.say("Loading all IPAM pools...")
        active = [pool for pool in pools if not pool.spec.disabled]
        for pool in active:
            self.say(f"  {pool.spec.cidr}")
        self.say(f"Found {len(active)} active IP pools.\n")

    def uses(self, tunnels: Sequence[Use], pods: Sequence[Use]) -> None:
        """The users of addresses, as nodes and endpoints tell them."""
        self._loaded("nodes", "node tunnel", tunnels)
        self.say("\nLoading all service load balancer IPs.\nFound 0 service load balancer.\n")
        self._loaded("workload endpoints", "workload", pods)
        addresses = {use.address for use in (*tunnels, *pods)}
        self.say(f"Workloads and nodes are using {len(addresses)} IPs.\n")

    def _loaded(self, what: str, kind: str, uses: Sequence[Use]) -> None:
        self.say(f"Loading all {what}.")
        for use in uses if self.shows_all else ():
            self.say(f"  {use.address} belongs to {use.owner}")
        self.say(f"Found {len(uses)} {kind} IPs.")

    def top_nodes(self, allocations: Iterable[Allocation]) -> None:
        self.say(f"Looking for top (up to {NODES_SHOWN_MAX}) nodes by allocations...")
        ranked = Counter(one.node for one in allocations).most_common()
        for node, count in ranked[:NODES_SHOWN_MAX]:
            self.say(f"  {node} has {count} allocations")
        if ranked:
            median = ranked[len(ranked) // 2][1]
            self.say(f"Node with most allocations has {ranked[0][1]}; median is {median}")
        self.say()

    def scan(self, what: str, found: Sequence[str], summary: str) -> None:
        """Print problems of a kind: a sentence for each where they are to be shown, and their number."""
        if what:
            self.say(f"Scanning for {what}...")
        for sentence in found if self.shows_problems else ():
            self.say(f"  {sentence}")
        self.problems += len(found)
        self.say(f"Found {len(found)} {summary}")

    def scan_more(self, what: str, found: Sequence[str], summary: str) -> None:
        """A problem that calicoctl does not look for: told only where there is one."""
        if found:
            self.scan(what, found, summary)


async def _check(session: Session, arguments: Arguments) -> None:
    store = (await session.cluster()).store
    report = _Report(session, arguments)
    session.say("Checking IPAM for inconsistencies...\n")
    snapshot = await read_snapshot(store)
    pools, nodes = await listed(store, IPPool), await listed(store, Node)
    tunnels = [Use(address, f"Node({node.name})") for node in nodes for address in _tunnels(node)]
    pods = [
        Use(network.network_address, f"Workload({endpoint.metadata.namespace}/{endpoint.name})")
        for endpoint in await listed(store, WorkloadEndpoint)
        for network in endpoint.spec.ip_networks
    ]
    allocations = ipam_report.allocations(snapshot, (*tunnels, *pods))
    report.blocks(snapshot, allocations)
    report.pools(pools)
    report.uses(tunnels, pods)
    session.say("Loading all handles")
    report.top_nodes(allocations)
    found = check(snapshot, pools, (*tunnels, *pods), frozenset(node.name for node in nodes))
    _scan(report, snapshot, allocations, found)
    session.say(f"Check complete; found {report.problems} problems.")
    if arguments.flag("output"):
        written = await ipam_report.written(store, allocations, found)
        _write(Path(arguments.value("output")), written)


def _scan(
    report: _Report, snapshot: Snapshot, allocations: Sequence[Allocation], found: Iterable[Finding]
) -> None:
    by = defaultdict(list)
    for finding in found:
        by[finding.category].append(finding)
    attributes = {str(one.address): one.attributes for one in allocations}
    # A pool that is disabled keeps its pods: only what nobody gave out is astray.
    unallocated = {finding.subject for finding in by[findings.NOT_ALLOCATED]}
    outside = [finding for finding in by[findings.OUTSIDE_POOLS] if finding.subject in unallocated]
    astray = {finding.subject for finding in outside}
    inside = [finding for finding in by[findings.NOT_ALLOCATED] if finding.subject not in astray]
    report.scan(
        "IPs that are allocated but not actually in use",
        [f"{it.subject} leaked; attrs {attributes[it.subject]}" for it in by[findings.LEAKED]],
        "IPs that are allocated in IPAM but not actually in use.",
    )
    report.scan(
        "IPs that are in use by a workload or node but not allocated in IPAM",
        [f"{it.subject} in use by {it.detail} is not in any active IP pool." for it in outside],
        "in-use IPs that are not in active IP pools.",
    )
    no_allocation = "and in active IPAM pool but has no IPAM allocation."
    report.scan(
        "",
        [f"{it.subject} in use by {it.detail} {no_allocation}" for it in inside],
        "in-use IPs that are in active IP pools but have no corresponding IPAM allocation.",
    )
    report.scan_more(
        "",
        [f"{it.subject} has multiple owners: {it.detail}" for it in by[findings.SEVERAL_OWNERS]],
        "in-use IPs with multiple owners.",
    )
    report.say()
    _scan_structure(report, len(snapshot.handles), by)


def _scan_structure(report: _Report, handles: int, by: Mapping[str, Sequence[Finding]]) -> None:
    """Handles and affinities that do not fit the blocks."""
    empty = {finding.subject for finding in by[findings.EMPTY_HANDLE]}
    report.scan(
        "IPAM handles with no matching IPs",
        [f"{handle} doesn't have any active IPs." for handle in sorted(empty)],
        f"handles with no matching IPs (and {handles - len(empty)} handles with matches).",
    )
    report.scan(
        "IPs with missing handle",
        [
            f"{handle} is in use in a block but doesn't exist."
            for handle in sorted({it.detail for it in by[findings.MISSING_HANDLE]})
        ],
        "handles mentioned in blocks with no matching handle resource.",
    )
    report.scan_more(
        "blocks with an invalid affinity",
        [f"{it.subject}: {it.detail}" for it in by[findings.BAD_AFFINITY]],
        "blocks with an invalid affinity.",
    )


def _tunnels(node: Node) -> Iterable[IPAddress]:
    bgp, spec = node.spec.bgp, node.spec
    ipip = bgp.ipv4_ipip_tunnel_addr if bgp is not None else None
    found = (ipip, spec.ipv4_vxlan_tunnel_addr, spec.ipv6_vxlan_tunnel_addr)
    return (address for address in found if address is not None)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise Refused(f"cannot write the report to {path}: {error.strerror}") from None


SUBCOMMANDS: Sequence[Subcommand] = (
    Subcommand(
        Usage(
            "ipam check",
            "[--show-all-ips] [--show-problem-ips] [--output=<FILE>] [--kubeconfig=<KUBECONFIG>]",
            "Check that the IPAM fits what pods and tunnels use.",
            "With the report, ipam release gives back what leaked.",
            (
                Option("show-all-ips", "Print all addresses that are checked."),
                Option("show-problem-ips", "Print what does not fit."),
                Option("output", "Write a report to this file.", "o", "FILE"),
                Option("kubeconfig", "Taken and not needed.", value="KUBECONFIG"),
            ),
            (("Check, and keep what leaked.", "ipam check -o report.json"),),
        ),
        _check,
    ),
)
