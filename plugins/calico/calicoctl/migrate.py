"""datastore migrate: everything that Calico keeps, written to a file and read into another cluster.

While the datastore is locked the cluster stays as it is: nodes give no new pod an address. The file has three
parts, as calicoctl's: resources in YAML, ClusterInformation, and the IPAM's keys in JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from calico.calicoctl import files, printing
from calico.calicoctl.arguments import Arguments, Option, Usage
from calico.calicoctl.door import Door
from calico.calicoctl.files import BadFile
from calico.calicoctl.ipam_report import cluster_information
from calico.calicoctl.manifests import noun_of
from calico.calicoctl.session import Refused, Session, Subcommand
from calico.ipam import keys
from calico.resources import datastore
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_filters import BGPFilter
from calico.resources.bgp_peers import BGPPeer
from calico.resources.endpoints import ClusterInformation
from calico.resources.envelope import API_VERSION, Resource
from calico.resources.felix import FelixConfiguration
from calico.resources.nodes import Node
from calico.resources.pools import IPPool, IPReservation
from fabric.api.objects import Object
from fabric.errors import Conflict, FabricError
from fabric.store.port import ModRevision, Put, Store

EXPORTED: Sequence[type[Resource]] = (
    IPPool,
    BGPPeer,
    Node,
    BGPConfiguration,
    FelixConfiguration,
    IPReservation,
    BGPFilter,
)
_PARTS = "===\n"
_OF_THE_CLUSTER = ("uid", "resourceVersion", "creationTimestamp")
_IPAM = (("block_affinities", keys.HOSTS), ("blocks", keys.BLOCKS), ("handles", keys.HANDLES))
LOCK_TRIES_MAX = 10


async def _lock(session: Session, arguments: Arguments) -> None:
    await _set_ready((await session.cluster()).store, False)
    session.say("Datastore locked.")


async def _unlock(session: Session, arguments: Arguments) -> None:
    await _set_ready((await session.cluster()).store, True)
    session.say("Datastore unlocked.")


async def _set_ready(store: Store, ready: bool) -> None:
    for _ in range(LOCK_TRIES_MAX):
        information = await cluster_information(store)
        if information.spec.datastore_ready is ready:
            return
        spec = replace(information.spec, datastore_ready=ready)
        try:
            await datastore.update(store, replace(information, spec=spec))
            return
        except Conflict:
            continue
    raise Refused("ClusterInformation changes all the time: try again")


async def _export(session: Session, arguments: Arguments) -> None:
    store = (await session.cluster()).store
    information = await cluster_information(store)
    if information.spec.datastore_ready is not False:
        raise Refused(
            "datastore is not locked. Run the `calicoctl datastore migrate lock` command in order to begin "
            "migration"
        )
    for noun in EXPORTED:
        items = [_exported(resource) for resource in await datastore.listed(store, noun)]
        session.write(
            printing.as_yaml({"kind": f"{noun.KIND}List", "apiVersion": API_VERSION, "items": items})
        )
        session.say("---")
    session.write(_PARTS)
    session.write(printing.as_json(information.to_object()))
    session.write(_PARTS)
    session.write(printing.as_json(await _ipam(store)))


def _exported(resource: Resource) -> Object:
    obj = resource.to_object()
    meta = {key: value for key, value in obj["metadata"].items() if key not in _OF_THE_CLUSTER}
    return obj | {"metadata": meta}


async def _ipam(store: Store) -> dict[str, Any]:
    """The IPAM's keys with their values."""
    found: dict[str, Any] = {}
    for name, prefix in _IPAM:
        found[name] = [
            {"Key": kv.key, "Value": json.loads(kv.value), "TTL": 0} for kv in (await store.range(prefix)).kvs
        ]
    kept = await store.get(keys.CONFIG)
    if kept is not None:
        found["config"] = {"Key": kept.key, "Value": json.loads(kept.value), "TTL": 0}
    return found


async def _import(session: Session, arguments: Arguments) -> None:
    if not arguments.flag("filename"):
        raise Refused("a file is needed: --filename=<FILENAME>")
    resources, information, ipam = _parts(session, arguments.value("filename"))
    cluster = await session.cluster()
    await _set_ready(cluster.store, False)
    await _import_resources(session, await session.door(), resources)
    await _import_information(cluster.store, information)
    await _import_ipam(session, cluster.store, ipam)
    session.say(
        "Datastore information successfully imported. Please refer to the datastore migration "
        "documentation for next steps."
    )


def _parts(session: Session, name: str) -> tuple[list[Object], Object, dict[str, Any]]:
    try:
        text = session.context.stdin.read() if name == "-" else Path(name).read_text()
    except OSError as error:
        raise Refused(f"error while reading migration file: {(error.strerror or '').lower()}") from None
    parts = text.split(_PARTS)
    if len(parts) != 3:
        raise Refused(f"imported file: {name} is improperly formatted. Try recreating it")
    try:
        documents = files.read(parts[0], name)
        found = [obj for document in documents for obj in files.objects(document, name)]
        for obj in found:
            noun_of(obj)
        return found, json.loads(parts[1]), json.loads(parts[2])
    except (BadFile, ValueError) as error:
        raise Refused(f"error while reading migration file: {error}") from None


async def _import_resources(session: Session, door: Door, objects: Sequence[Object]) -> None:
    """As apply; a Node that this cluster does not have is passed over."""
    done, errors = 0, []
    known = {node.name for node in (await door.listed(Node))[0]}
    for obj in objects:
        try:
            resource = noun_of(obj).from_object(obj)
            if isinstance(resource, Node) and resource.name not in known:
                session.say(
                    f"[WARNING] Node({resource.name}) is no node of this cluster. Skipping that node."
                )
                continue
            await door.apply(resource)
            done += 1
        except FabricError as error:
            errors.append(str(error))
    if errors:
        raise Refused(f"failed to import v3 resources: hit error: [{' '.join(errors)}]")
    session.say(f"Successfully applied {done} resource(s)")


async def _import_information(store: Store, migrated: Object) -> None:
    """The GUID and version of where it comes from."""
    try:
        there = ClusterInformation.from_object(migrated).spec
    except (FabricError, AttributeError) as error:
        raise Refused(f"failed to update cluster information: {error}") from None
    information = await cluster_information(store)
    spec = replace(information.spec, cluster_guid=there.cluster_guid, calico_version=there.calico_version)
    await datastore.update(store, replace(information, spec=spec))


async def _import_ipam(session: Session, store: Store, ipam: dict[str, Any]) -> None:
    """Each key that is not there; one that is there with another value is an error."""
    session.say("Importing IPAM resources")
    done, errors = 0, []
    for together in _groups(ipam):
        compares = [ModRevision(key, 0) for key in together]
        puts = [Put(key, _compact(value)) for key, value in together.items()]
        if (await store.txn(compares, puts)).succeeded:
            done += len(together)
            continue
        for key, value in together.items():
            kept = await store.get(key)
            if kept is not None and json.loads(kept.value) == value:
                done += 1
            else:
                errors.append(f"error trying to create {key}: what is there says otherwise")
    if errors:
        session.say(f"Partial success: applied {done} out of {done + len(errors)} resources:")
        raise Refused(f"hit error: [{' '.join(errors)}]")
    session.say(f"Successfully applied {done} IPAM resource(s)")


def _groups(ipam: dict[str, Any]) -> list[dict[str, Any]]:
    """Keys with their values, those together that must be: handles first, then a block with its affinity."""
    try:
        found = {name: {str(it["Key"]): it["Value"] for it in ipam.get(name) or ()} for name, _ in _IPAM}
        config = {str(ipam["config"]["Key"]): ipam["config"]["Value"]} if ipam.get("config") else {}
    except (KeyError, TypeError, AttributeError) as error:
        raise Refused(f"failed to read IPAM resources: {error!r}") from None
    stray = [key for part in (*found.values(), config) for key in part if not key.startswith(keys.ROOT)]
    if stray:
        raise Refused(f"failed to read IPAM resources: {stray[0]} is no key of the IPAM")
    affinities = found["block_affinities"]
    blocks = []
    for key, value in found["blocks"].items():
        owner = _affinity_of(key, value)
        blocks.append({key: value} | ({owner: affinities.pop(owner)} if owner in affinities else {}))
    handles = [{key: value} for key, value in found["handles"].items()]
    return [*handles, *blocks, *({key: value} for key, value in (affinities | config).items())]


def _affinity_of(key: str, block: Any) -> str:
    """The key of the affinity that a block's node has to it."""
    cidr, affinity = keys.parse_block(key), block.get("affinity") if isinstance(block, dict) else None
    kind, _, host = str(affinity or "").partition(":")
    return keys.affinity(host, cidr) if cidr is not None and kind == "host" else ""


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _usage(name: str, summary: str, description: str, *options: Option, synopsis: str = "") -> Usage:
    return Usage(f"datastore migrate {name}", synopsis, summary, description, options)


SUBCOMMANDS: Sequence[Subcommand] = (
    Subcommand(
        _usage("lock", "Lock the datastore.", "Nodes give no new pod an address until it is unlocked."), _lock
    ),
    Subcommand(_usage("unlock", "Unlock the datastore.", "Nodes go on."), _unlock),
    Subcommand(
        _usage(
            "export",
            "Print everything that Calico keeps.",
            "The datastore must be locked. WorkloadEndpoints and Profiles are left out.",
        ),
        _export,
    ),
    Subcommand(
        _usage(
            "import",
            "Read what export printed into this cluster.",
            "Locks the datastore. Resources are applied; what the IPAM has already stays.",
            Option("filename", "The file; - is standard input.", "f", "FILENAME"),
            synopsis="--filename=<FILENAME>",
        ),
        _import,
    ),
)
