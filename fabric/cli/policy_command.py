"""`fabric policy`: what network policies mean, without a packet: why, lint, diff and matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from fabric.cli import output, policy_matrix
from fabric.cli.output import Format, Output
from fabric.cli.policy_worlds import (
    Asked,
    ClusterName,
    Manifests,
    Namespace,
    Plugin,
    asked,
    endpoints,
    of_cluster,
    of_manifests,
)
from fabric.errors import BadInput, Problem
from fabric.plugin.policies import (
    PROTOCOLS,
    Decision,
    Endpoint,
    Evaluator,
    Flow,
    Verdict,
    outside,
    protocol_number,
)
from fabric.policy import differences as changed
from fabric.policy import evaluators, names
from fabric.policy import lint as linted

policy = typer.Typer(help="Say what network policies mean.", no_args_is_help=True)
Source = Annotated[
    str, typer.Argument(help="A pod (namespace/name), node/NAME, or an address.", autocompletion=endpoints)
]
Destination = Annotated[
    str, typer.Argument(help="The same, or the address of one.", autocompletion=endpoints)
]
PORT_MAX = 65535
ECHO_REQUEST_V6 = 128


Tcp = Annotated[
    int | None, typer.Option("--tcp", min=1, max=PORT_MAX, metavar="PORT", help="TCP to this port.")
]
Udp = Annotated[
    int | None, typer.Option("--udp", min=1, max=PORT_MAX, metavar="PORT", help="UDP to this port.")
]
Sctp = Annotated[
    int | None, typer.Option("--sctp", min=1, max=PORT_MAX, metavar="PORT", help="SCTP to this port.")
]
Icmp = Annotated[bool, typer.Option("--icmp", help="An ICMP echo request, as ping sends.")]
Number = Annotated[int | None, typer.Option("--protocol", min=0, max=255, help="Another protocol's number.")]
Version = Annotated[
    int | None, typer.Option("--ip-version", help="4 or 6; without it, the first of the source.")
]
Services = Annotated[
    list[str] | None,
    typer.Option("--port", help="80/tcp, 53/udp, icmp …; without it, what pods declare."),
]
Outside = Annotated[
    list[str] | None, typer.Option("--outside", metavar="ADDRESS", help="An address to ask for, too.")
]


def register(app: typer.Typer) -> None:
    policy_matrix.register(policy)
    app.add_typer(policy, name="policy")


@policy.command()
def why(
    source: Source,
    destination: Destination,
    tcp: Tcp = None,
    udp: Udp = None,
    sctp: Sctp = None,
    icmp: Icmp = False,
    protocol: Number = None,
    version: Version = None,
    namespace: Namespace = "default",
    manifests: Manifests = None,
    plugin: Plugin = None,
    format: Annotated[Format, Output] = Format.table,
    cluster: ClusterName = None,
) -> None:
    """Say which rule allows or denies a connection.

    The exit code is 0 where it is allowed, and 1 where it is not. Rules that do not match are told with their
    reason.

    Example: sudo fabric policy why pod-1 pod-2 --tcp 80

    Example: fabric policy why shop/web shop/db --tcp 5432 --manifests topologies/policies/shop.yaml
    """
    service = _service(tcp, udp, sctp, protocol, icmp=icmp)
    if version not in (None, 4, 6):
        raise BadInput(Problem("--ip-version", "4 or 6"))
    found = asked(manifests, plugin, cluster, "policy why")
    ends = [
        names.endpoint(found.world, name, namespace, parameter=parameter)
        for name, parameter in ((source, "SOURCE"), (destination, "DESTINATION"))
    ]
    _refuse_version(version, ends)
    flow = _flow(Flow(ends[0], ends[1], *service, version=version or 0))
    if not _tell(flow, found.evaluator, format):
        raise typer.Exit(1)


def _service(
    tcp: int | None, udp: int | None, sctp: int | None, protocol: int | None, *, icmp: bool
) -> changed.Service:
    given = {"tcp": tcp, "udp": udp, "sctp": sctp, "icmp": 0 if icmp else None}
    chosen = [(protocol_number(name), port) for name, port in given.items() if port is not None]
    chosen += [(protocol, 0)] if protocol is not None else []
    if len(chosen) != 1:
        what = "name one: --tcp PORT, --udp PORT, --sctp PORT, --icmp or --protocol NUMBER"
        raise BadInput(Problem("--tcp", what))
    own = next((name for name, number in PROTOCOLS.items() if number == protocol and name in given), None)
    if own:
        port = "" if own == "icmp" else " PORT"
        raise BadInput(Problem("--protocol", f"{protocol} is {own.upper()}: write --{own}{port}"))
    return chosen[0]


def _refuse_version(version: int | None, ends: Sequence[Endpoint]) -> None:
    for end in ends:
        if version and end.address(version) is None:
            raise BadInput(Problem("--ip-version", f"{end} has no IPv{version} address"))


def _tell(flow: Flow, evaluator: Evaluator, format: Format) -> bool:
    """Print the verdict; whether the flow is allowed."""
    verdict, staged = evaluator.judge(flow), evaluator.judge(flow, staged=True)
    if format in (Format.json, Format.yaml):
        output.data(output.camel(_as_json(flow, verdict, staged)), format)
    else:
        for line in _lines(flow, verdict, staged, is_wide=format is Format.wide):
            output.emit(line)
    return verdict.allowed


def _flow(flow: Flow) -> Flow:
    """Over IPv6, ping's request is another protocol."""
    if flow.protocol != PROTOCOLS["icmp"] or flow.family != 6:
        return flow
    return replace(flow, protocol=PROTOCOLS["icmpv6"], icmp_type=ECHO_REQUEST_V6)


def _lines(flow: Flow, verdict: Verdict, staged: Verdict, *, is_wide: bool) -> Iterator[str]:
    yield f"{flow}: {_word(verdict.allowed)}"
    for it in verdict.decisions:
        yield f"  {it.direction:7} {it.at}: {_word(it.allowed)}: {it.why}"
        if it.text:
            yield f"          rule {it.text}"
        notes = it.notes if is_wide or not it.allowed else [note for note in it.notes if ": " not in note]
        yield from (f"          {note}" for note in notes)
    if staged.allowed != verdict.allowed:
        yield f"if staged policies were enforced: {_word(staged.allowed)}: {changed.deciding(staged)}"


def _word(allowed: bool) -> str:
    return "allowed" if allowed else "denied"


def _as_json(flow: Flow, verdict: Verdict, staged: Verdict) -> dict[str, Any]:
    return {
        "source": str(flow.source),
        "destination": str(flow.destination),
        "protocol": flow.protocol,
        "port": flow.port,
        "ip_version": flow.family,
        "allowed": verdict.allowed,
        "decisions": [_decision(it) for it in verdict.decisions],
        "allowed_if_staged_were_enforced": staged.allowed,
    }


def _decision(it: Decision) -> dict[str, Any]:
    fields = ("direction", "at", "allowed", "why", "policy", "rule", "text")
    lists = {"selected_by": list(it.selected_by), "notes": list(it.notes)}
    return {name: getattr(it, name) for name in fields} | lists


@policy.command()
def lint(
    manifests: Manifests = None,
    plugin: Plugin = None,
    format: Annotated[Format, Output] = Format.table,
    cluster: ClusterName = None,
) -> None:
    """Find what is wrong with policies.

    That is what selects nobody, matches nothing, is never needed, or has no effect. The exit code is 1 where
    anything is found.

    Example: fabric policy lint --manifests topologies/policies/shop.yaml

    Example: sudo fabric policy lint
    """
    found = (
        of_cluster(cluster, "policy lint", plugin) if manifests is None else of_manifests(manifests, plugin)
    )
    findings = linted.findings(found.world, found.evaluator, found.plugin)
    if format in (Format.json, Format.yaml):
        rows = [
            {"policy": it.policy, "path": it.path, "what": it.what, "where": found.where(it.object)}
            for it in findings
        ]
        output.data(rows, format)
    elif findings:
        output.table(("POLICY", "FIELD", "FINDING"), [(it.policy, it.path, it.what) for it in findings])
    else:
        count = len(found.evaluator.describe())
        output.emit(f"no finding in {count} {'policy' if count == 1 else 'policies'}")
    if findings:
        raise typer.Exit(1)


@policy.command()
def diff(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="[OLD] NEW", help="Files or folders; without OLD, the running cluster."),
    ],
    services: Services = None,
    outside_: Outside = None,
    plugin: Plugin = None,
    format: Annotated[Format, Output] = Format.table,
    cluster: ClusterName = None,
) -> None:
    """Show what another set of policies opens and closes.

    NEW without pods is applied to OLD: policies to the pods that are there. The exit code is 1 where anything
    changes.

    Example: fabric policy diff topologies/policies/shop.yaml topologies/policies/shop-closed.yaml

    Example: sudo fabric policy diff topologies/policies/shop-closed.yaml
    """
    if len(files) > 2:
        raise BadInput(Problem("[OLD] NEW", "two files or folders at most"))
    wanted = [changed.service_of(it) for it in services or ()]
    before = (
        of_manifests(files[0], plugin, parameter="OLD") if files[1:] else of_cluster(cluster, "policy diff")
    )
    after = _after(before, files[-1], plugin)
    sides = [(it.world, it.evaluator) for it in (before, after)]
    found = list(changed.changes(sides[0], sides[1], wanted, map(_outside, outside_ or ())))
    _show(found, format)
    if found:
        raise typer.Exit(1)


def _show(found: list[changed.Change], format: Format) -> None:
    keys = ("source", "destination", "port", "old", "new", "why")
    rows = [
        (
            *(it.source, it.destination, changed.service_text(it.service)),
            *(_word(it.before), _word(not it.before), it.why),
        )
        for it in found
    ]
    if format in (Format.json, Format.yaml):
        output.data([dict(zip(keys, row, strict=True)) for row in rows], format)
    elif rows:
        shown = len(keys) if format is Format.wide else len(keys) - 1
        output.table([it.upper() for it in keys[:shown]], [row[:shown] for row in rows])
    else:
        output.emit("nothing changes")


def _after(before: Asked, path: Path, plugin: str | None) -> Asked:
    """The newer manifests; laid over the older world where they have no pods of their own."""
    found = of_manifests(path, plugin, parameter="NEW")
    if found.world.pods:
        return found
    world = changed.overlaid(before.world, found.world.objects)
    name = plugin or before.plugin
    if name == evaluators.KUBERNETES:
        name = evaluators.plugin_for(world)
    return Asked(world, name, evaluators.of(name, world), found.where)


def _outside(address: str) -> Any:
    try:
        return outside(address)
    except ValueError:
        raise BadInput(Problem("--outside", f"{address!r} is no address")) from None
