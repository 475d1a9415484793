"""get: resources as tables, YAML or JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from calico.calicoctl import printing, template
from calico.calicoctl.arguments import Arguments, Option, Usage
from calico.calicoctl.manifests import FILE_OPTIONS, NAMESPACE, Unsupported
from calico.calicoctl.resource_client import ResourceClient
from calico.calicoctl.session import Refused, Session, Subcommand
from calico.calicoctl.targets import Target, targets
from calico.calicoctl.template_values import resource
from calico.columns import COLUMNS
from calico.resources.bgp_configuration import BGPConfiguration, effective
from calico.resources.envelope import API_VERSION
from calico.resources.nodes import Node
from fabric.api.objects import Object
from fabric.errors import FabricError, NotFound

_OF_THE_CLUSTER = ("namespace", "uid", "resourceVersion", "creationTimestamp")
"""What --export leaves out of the metadata."""

Print = Callable[[Sequence[Object]], str]


async def _get(session: Session, arguments: Arguments) -> None:
    show = _printer(arguments)
    try:
        wanted = targets(session, arguments)
    except Unsupported as error:
        raise Refused(f"failed to get resources: {error}") from None
    client = await session.resources()
    found: list[Object] = []
    errors: list[FabricError] = []
    for target in wanted:
        try:
            found.append(await _found(client, target, arguments))
        except FabricError as error:
            errors.append(error)
    if found:
        session.write(show(found))
    if errors:
        raise Refused("\n".join(map(str, errors)))


async def _found(client: ResourceClient, target: Target, arguments: Arguments) -> Object:
    """The object of a resource, or the list of a kind."""
    if target.name:
        obj = (await client.get(target.resource_type, target.name, target.namespace)).to_object()
        if arguments.flag("export"):
            meta = obj["metadata"].items()
            obj = obj | {"metadata": {key: value for key, value in meta if key not in _OF_THE_CLUSTER}}
        return await _as_shown(client, obj, arguments)
    resources, revision = await client.listed(target.resource_type, target.namespace)
    return {
        "kind": f"{target.resource_type.KIND}List",
        "apiVersion": API_VERSION,
        "metadata": {"resourceVersion": str(revision)},
        "items": [await _as_shown(client, each.to_object(), arguments) for each in resources],
    }


async def _as_shown(client: ResourceClient, obj: Object, arguments: Arguments) -> Object:
    """The object; in tables the AS number of a node that says none is the cluster's, in brackets."""
    spec = obj.get("spec") or {}
    if obj["kind"] != Node.KIND or not spec.get("bgp") or "asNumber" in spec["bgp"]:
        return obj
    if arguments.value("output", "ps").startswith(("yaml", "yml", "json", "go-template")):
        return obj
    try:
        default = await client.get(BGPConfiguration, "default")
    except NotFound:
        default = None
    inherited = effective(default if isinstance(default, BGPConfiguration) else None).as_number
    return obj | {"spec": spec | {"bgp": spec["bgp"] | {"asNumber": f"({inherited})"}}}


def _printer(arguments: Arguments) -> Print:
    output = arguments.value("output", "ps")
    shows_namespace = arguments.flag("all-namespaces") or bool(arguments.value("namespace"))
    if output in ("yaml", "yml"):
        return lambda found: printing.as_yaml(_alone(found))
    if output == "json":
        return lambda found: printing.as_json(_alone(found))
    if output in ("ps", "wide"):
        return lambda found: "".join(_table(obj, output == "wide", shows_namespace) for obj in found)
    name, _, value = output.partition("=")
    if name in ("go-template", "go-template-file"):
        return _by_template(name, value)
    if name != "custom-columns":
        raise Refused(f"unrecognized output format '{output}'")
    if not value:
        raise Refused("need to specify at least one column")
    headings = tuple(heading.strip() for heading in value.split(","))
    return lambda found: "".join(_columns(obj, headings) for obj in found)


def _by_template(name: str, value: str) -> Print:
    if not value:
        raise Refused(f"need to specify a template{' file' if name.endswith('file') else ''}")
    if name == "go-template-file":
        try:
            value = Path(value).read_text()
        except OSError as error:
            raise Refused(f"open {value}: {(error.strerror or '').lower()}") from None
        except ValueError:
            raise Refused(f"{value}: not text in UTF-8") from None
    return lambda found: template.render(value, [resource(obj) for obj in found])


def _alone(found: Sequence[Object]) -> Any:
    return found[0] if len(found) == 1 else list(found)


def _table(obj: Object, wide: bool, shows_namespace: bool) -> str:
    columns = COLUMNS[obj["kind"].removesuffix("List")]
    headings = columns.headings(wide=wide)
    if shows_namespace and "NAMESPACE" in columns.cells:
        headings = ("NAMESPACE", *headings)
    return _columns(obj, headings)


def _columns(obj: Object, headings: Sequence[str]) -> str:
    """A table of one resource, or of a list, and a line to part it from the next."""
    cells = COLUMNS[obj["kind"].removesuffix("List")].cells
    unknown = next((heading for heading in headings if heading not in cells), None)
    if unknown is not None:
        raise Refused(f"Unknown heading {unknown}, valid values are: {', '.join(sorted(cells))}")
    rows = [[cells[heading](each) for heading in headings] for each in obj.get("items", [obj])]
    return printing.columns(headings, rows) + "\n"


SUBCOMMANDS: Sequence[Subcommand] = (
    Subcommand(
        Usage(
            "get",
            "( <KIND> [<NAME>...] | --filename=<FILENAME> [--recursive] [--skip-empty] )\n"
            "                [--output=<OUTPUT>] [--namespace=<NS> | --all-namespaces] [--export]",
            "Show resources by kind and name, or by file.",
            "Without names, all resources of the kind are shown. Several names, or a file, give a table\n"
            "for each.\n\n"
            "  ps                 columns\n"
            "  wide               more columns\n"
            "  custom-columns     the columns that are named: custom-columns=NAME,CIDR\n"
            "  go-template        what a Go template says: go-template={{range .}}{{.Name}}{{end}}\n"
            "  go-template-file   the same from a file\n"
            "  yaml, json         the resources, as all commands take them",
            (
                *FILE_OPTIONS,
                Option(
                    "output",
                    "ps, wide, custom-columns=..., go-template=...,\n"
                    "go-template-file=..., yaml or json [default: ps].",
                    "o",
                    "OUTPUT",
                ),
                NAMESPACE,
                Option("all-namespaces", "Of all namespaces.", "A", old_short="a"),
                Option("export", "Leave out what only this cluster gives it.\nFor named resources."),
            ),
            (("All pools, with all columns.", "get ippools -o wide"),),
            words_max=None,
        ),
        _get,
    ),
)
