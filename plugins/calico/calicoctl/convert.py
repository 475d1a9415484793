"""convert: resources of Calico's first API (`apiVersion: v1`) as those of the present one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from calico.calicoctl import printing
from calico.calicoctl.arguments import Arguments, Option, Usage
from calico.calicoctl.files import BadFile
from calico.calicoctl.manifests import FILE_OPTIONS, loaded
from calico.calicoctl.session import Refused, Session, Subcommand
from calico.resources.bgp_peers import BGPPeer
from calico.resources.endpoints import WorkloadEndpoint, endpoint_name
from calico.resources.envelope import API_VERSION
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from calico.resources.table import NOUNS
from fabric.api.objects import Object
from fabric.errors import FabricError

Fields = Mapping[str, Any]


async def _convert(session: Session, arguments: Arguments) -> None:
    output = arguments.value("output", "yaml")
    if output not in ("yaml", "yml", "json"):
        raise Refused(f"unrecognized output format '{output}'")
    try:
        found = [converted(obj) for obj in loaded(arguments, session.context.stdin)]
    except BadFile as error:
        raise Refused(f"failed to execute command: {error}") from None
    if not arguments.flag("ignore-validation"):
        for obj in found:
            _check(obj)
    shown = found[0] if len(found) == 1 else found
    session.write(printing.as_json(shown) if output == "json" else printing.as_yaml(shown))


def converted(obj: Object) -> Object:
    """The object in the present version; BadFile when it is none of the first."""
    kind, version = str(obj.get("kind", "")), obj.get("apiVersion", "")
    convert = _CONVERSIONS.get(kind.lower())
    if version != "v1":
        raise BadFile(f"unknown resource type ({kind}) and/or version ({version}): v1 is converted")
    if convert is None:
        raise BadFile(f"conversion for the resource type '{kind}' is not supported")
    metadata, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        raise BadFile(f"a resource of kind {kind} has metadata and a spec")
    found = convert(metadata, spec)
    if metadata.get("labels"):
        found["metadata"]["labels"] = metadata["labels"]
    return {"apiVersion": API_VERSION, **found}


def _check(obj: Object) -> None:
    try:
        NOUNS[obj["kind"]].from_manifest(obj)
    except FabricError as error:
        raise Refused(
            f"Converted manifest resource(s) failed validation: {error}\n"
            "Re-run the command with '--ignore-validation' flag to see the converted output."
        ) from None


def _pool(metadata: Fields, spec: Fields) -> Object:
    cidr, ipip = str(metadata.get("cidr", "")), spec.get("ipip") or {}
    mode = "Never"
    if ipip.get("enabled"):
        mode = "CrossSubnet" if str(ipip.get("mode", "")).lower() == "cross-subnet" else "Always"
    kept = {"cidr": cidr, "ipipMode": mode, "vxlanMode": "Never", "nodeSelector": "all()"}
    return _resource(
        IPPool.KIND,
        re.sub(r"[./:]", "-", cidr),
        kept | {"natOutgoing": bool(spec.get("nat-outgoing")), "disabled": bool(spec.get("disabled"))},
    )


def _peer(metadata: Fields, spec: Fields) -> Object:
    scope, node = metadata.get("scope"), str(metadata.get("node") or "")
    if scope not in ("global", "node"):
        raise BadFile("insufficient identifiers, missing 'scope'")
    if (scope == "node") != bool(node):
        raise BadFile("a BGPPeer of scope node names its node, and one of scope global none")
    try:
        address = ip_address(str(metadata.get("peerIP", "")))
    except ValueError as error:
        raise BadFile(f"no PeerIP is set, invalid BGPPeer: {error}") from None
    name = re.sub(r"[.:]", "-", address.exploded)
    kept = {"peerIP": str(address), "asNumber": spec.get("asNumber")}
    if node:
        name, kept["node"] = f"{_node_name(node)}.{name}", _node_name(node)
    return _resource(BGPPeer.KIND, name, kept)


def _node(metadata: Fields, spec: Fields) -> Object:
    bgp = spec.get("bgp") or {}
    kept = {key: bgp[key] for key in ("asNumber", "ipv4Address", "ipv6Address") if bgp.get(key) is not None}
    for key in ("ipv4Address", "ipv6Address"):
        if key in kept and "/" not in str(kept[key]):
            kept[key] = f"{kept[key]}/{32 if key == 'ipv4Address' else 128}"
    wanted: dict[str, Any] = {"bgp": kept} if kept else {}
    if spec.get("orchRefs"):
        wanted["orchRefs"] = spec["orchRefs"]
    return _resource(Node.KIND, _node_name(str(metadata.get("name", ""))), wanted)


def _endpoint(metadata: Fields, spec: Fields) -> Object:
    node = _node_name(str(metadata.get("node", "")))
    orchestrator, device = str(metadata.get("orchestrator", "")), str(metadata.get("name", ""))
    workload, namespace = str(metadata.get("workload", "")), "default"
    kept: dict[str, Any] = {"node": node, "orchestrator": orchestrator, "endpoint": device}
    if orchestrator == "k8s":
        namespace, _, pod = workload.partition(".")
        kept["pod"], workload = pod, pod
    else:
        kept["workload"] = workload
    copied = ("ipNetworks", "ipv4Gateway", "ipv6Gateway", "profiles", "interfaceName", "mac")
    kept |= {key: spec[key] for key in copied if spec.get(key)}
    found = _resource(WorkloadEndpoint.KIND, endpoint_name(node, workload, device, orchestrator), kept)
    found["metadata"]["namespace"] = namespace
    return found


_CONVERSIONS: Mapping[str, Callable[[Fields, Fields], Object]] = {
    "ippool": _pool,
    "bgppeer": _peer,
    "node": _node,
    "workloadendpoint": _endpoint,
}


def _resource(kind: str, name: str, spec: Fields) -> Object:
    return {"kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def _node_name(name: str) -> str:
    """As the present version wants it: lower case, and no signs but dots and dashes inside."""
    name = re.sub(r"[^-.a-z0-9]+", "-", name.lower().replace("/", "."))
    return re.sub(r"[.-]*\.[.-]*", ".", name).strip(".-")


SUBCOMMANDS: Sequence[Subcommand] = (
    Subcommand(
        Usage(
            "convert",
            "--filename=<FILENAME> [--output=<OUTPUT>] [--ignore-validation]",
            "Turn resources of API v1 into those of v3.",
            "ipPool, bgpPeer, node and workloadEndpoint are converted. Needs no cluster.",
            (
                *FILE_OPTIONS,
                Option("output", "yaml or json [default: yaml].", "o", "OUTPUT"),
                Option("ignore-validation", "Show also what v3 would refuse."),
            ),
            (("Convert an old pool.", "convert -f pool-v1.yaml"),),
        ),
        _convert,
    ),
)
