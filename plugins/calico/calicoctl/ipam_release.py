"""ipam release: one address, or everything that reports of `ipam check` call leaked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial, reduce
from operator import and_
from pathlib import Path

from calico.calicoctl import ipam_report
from calico.calicoctl.arguments import Arguments, Option, Usage
from calico.calicoctl.ipam_report import Report
from calico.calicoctl.ipam_show import address
from calico.calicoctl.session import Refused, Session, Subcommand
from calico.ipam import keys
from calico.ipam.allocator import Ipam
from calico.ipam.garbage import Leak, still_leaked
from calico.ipam.handles import read_handle, settle
from calico.ipam.snapshot import read_snapshot
from calico.ipam.writing import take_back
from calico.resources.endpoints import ClusterInformation
from calico.version import VERSION
from fabric.netstate.objects import IPAddress
from fabric.store.port import Store


async def _release(session: Session, arguments: Arguments) -> None:
    paths = arguments.values("from-report")
    if bool(paths) == arguments.flag("ip"):
        raise Refused("give either --ip or --from-report")
    store = (await session.cluster()).store
    if paths:
        await _from_reports(session, store, [Path(path) for path in paths], arguments.flag("force"))
        return
    wanted = address(arguments.value("ip"))
    if not await Ipam(store, session.context.clock, "").release_addresses([wanted]):
        raise Refused(f"IP address {wanted} is not assigned")
    session.say(f"Successfully released IP address {wanted}")


async def _from_reports(session: Session, store: Store, paths: Sequence[Path], force: bool) -> None:
    reports = [ipam_report.read(path) for path in paths]
    information = await ipam_report.cluster_information(store)
    for path, report in zip(paths, reports, strict=True):
        _check_origin(session, information, path, report, force)
    if information.metadata.resource_version not in {report.revision for report in reports}:
        raise Refused(
            "the provided reports are all stale - at least one should be up-to-date. "
            "Please generate a new report while the data store is locked and try again"
        )
    if information.spec.datastore_ready is not False:
        if not force:
            raise Refused("data store is not locked. Either lock the data store, or re-run with --force")
        session.say("WARNING: Data store is not locked. Ignoring due to --force option")
    leaked = reduce(and_, (report.leaked for report in reports))
    await _release_addresses(session, store, leaked.addresses)
    await _release_handles(session, store, leaked.handles)
    session.say("You may now unlock the data store.")


def _check_origin(
    session: Session, information: ClusterInformation, path: Path, report: Report, force: bool
) -> None:
    if report.cluster_guid != information.spec.cluster_guid:
        what = f"cluster does not match the provided report ({path}): mismatched cluster GUID."
        raise Refused(f"{what} Refusing to release")
    if report.version != VERSION:
        if not force:
            what = f"the provided report ({path}) was produced using a different version ({report.version})"
            raise Refused(f"{what} of calicoctl. Refusing to release")
        what = "Report was produced using a different version of calicoctl."
        session.say(f"WARNING: {what} Ignoring due to --force option")


async def _release_addresses(
    session: Session, store: Store, leaked: Mapping[IPAddress, tuple[str, int]]
) -> None:
    """Each address only if it is still given out by the same write, to the same handle."""
    if not leaked:
        session.say("Report didn't contain any leaked IPs to clean up.")
        return
    session.say(f"Releasing {len(leaked)} old IPs...")
    blocks = (await read_snapshot(store)).blocks
    released = 0
    for wanted, (handle, number) in leaked.items():
        block = next((block for cidr, block in blocks.items() if wanted in cidr), None)
        if block is not None:
            leak = Leak(block.cidr, block.ordinal(wanted), number, handle)
            released += len(await take_back(store, block.cidr, partial(still_leaked, leak)))
    session.say(f"Released {released} IPs successfully")
    if released < len(leaked):
        cleaned = len(leaked) - released
        session.say(f"{cleaned} addresses marked as leaked in the report had already been cleaned up.")


async def _release_handles(session: Session, store: Store, leaked: Mapping[str, int]) -> None:
    if not leaked:
        session.say("Report didn't contain any handles to clean up.")
        return
    session.say(f"Deleting {len(leaked)} handles...")
    session.say("Key: '.' = Deleted OK; 'x' = skip, handle missing/changed.")
    released = 0
    for handle, revision in leaked.items():
        gone = await _release_handle(store, handle, revision)
        session.write("." if gone else "x")
        released += gone
    session.say()
    session.say(f"Released {released} handles; {len(leaked) - released} skipped; 0 errors.")


async def _release_handle(store: Store, handle: str, revision: int) -> bool:
    """Settle what the handle counts; True when it is gone then."""
    record = await read_handle(store, handle)
    if record.value is None or record.revision != revision:
        return False
    for cidr in record.value.counts:
        await settle(store, handle, cidr)
    return await store.get(keys.handle(handle)) is None


SUBCOMMANDS: Sequence[Subcommand] = (
    Subcommand(
        Usage(
            "ipam release",
            "( --ip=<IP> | --from-report=<REPORT>... [--force] )",
            "Release an address, or all that leaked.",
            "A pod that has the address keeps it, and another may get it too: release only what no pod has.\n"
            "Of several reports, taken some time apart, only what is leaked in all of them is released.",
            (
                Option("ip", "The address to release.", value="IP"),
                Option("from-report", "A report of ipam check.", value="REPORT", repeats=True),
                Option("force", "Also while the datastore is not locked."),
            ),
            (("Release what a report calls leaked.", "ipam release --from-report=report.json"),),
        ),
        _release,
    ),
)
