"""ipam show: how full pools and blocks are, what is borrowed, who has an address, what is configured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address

from calico.calicoctl import printing
from calico.calicoctl.arguments import Arguments, Option, Usage
from calico.calicoctl.session import Refused, Session, Subcommand
from calico.ipam.configuration import read_configuration
from calico.ipam.show import Usage as Numbers
from calico.ipam.show import borrowed, orphans, unclassified, usage
from calico.ipam.snapshot import Snapshot, read_snapshot
from calico.resources.datastore import listed
from calico.resources.pools import IPPool
from fabric.netstate.objects import IPAddress
from fabric.store.port import Store

_USAGE = ("GROUPING", "CIDR", "IPS TOTAL", "IPS IN USE", "IPS FREE")
_BORROWED = ("IP", "BORROWING-NODE", "BLOCK", "BLOCK OWNER", "TYPE", "ALLOCATED-TO")


async def _show(session: Session, arguments: Arguments) -> None:
    store = (await session.cluster()).store
    if arguments.flag("show-configuration"):
        session.write(await _configuration(store))
        return
    snapshot = await read_snapshot(store)
    if arguments.flag("ip"):
        session.write(of_address(snapshot, address(arguments.value("ip"))))
    elif arguments.flag("show-borrowed"):
        rows = (
            (str(it.address), it.borrower, str(it.block), it.block_owner, it.type, it.allocated_to)
            for it in borrowed(snapshot)
        )
        session.write(printing.boxed(_BORROWED, rows))
        if count := unclassified(snapshot):
            session.say(
                f"\nNote: found {count} IP allocations without an explicit node association. "
                "Unable to determine if they are borrowed."
            )
    else:
        blocks = arguments.flag("show-blocks")
        session.write(printing.boxed(_USAGE, await _usage(store, snapshot, blocks)))


def address(text: str) -> IPAddress:
    """Refused when it is none."""
    try:
        return ip_address(text)
    except ValueError:
        raise Refused(f"error executing command: invalid IP address specified: {text}") from None


def of_address(snapshot: Snapshot, wanted: IPAddress) -> str:
    """Whether the address is given out, and to whom."""
    block = next((block for cidr, block in snapshot.blocks.items() if wanted in cidr), None)
    owner = block.owner(block.ordinal(wanted)) if block is not None else None
    if owner is None:
        return f"{wanted} is not assigned\n"
    lines = [f"IP {wanted} is in use"]
    if owner.attributes:
        lines += ["Attributes:", *(f"  {key}: {owner.attributes[key]}" for key in sorted(owner.attributes))]
    else:
        lines.append("No attributes defined")
    return "\n".join(lines) + "\n"


async def _usage(store: Store, snapshot: Snapshot, blocks: bool) -> list[Sequence[str]]:
    pools = await listed(store, IPPool)
    rows: list[Sequence[str]] = []
    for pool in usage(snapshot, pools):
        rows.append(_row("IP Pool", pool))
        rows += (_row("Block", block) for block in pool.blocks if blocks)
    rows += (_row("Block", block) for block in orphans(snapshot, pools) if blocks)
    return rows


def _row(grouping: str, numbers: Numbers) -> Sequence[str]:
    counts = (numbers.in_use, numbers.free)
    return (grouping, str(numbers.cidr), f"{numbers.total:.5g}", *map(numbers.share, counts))


async def _configuration(store: Store) -> str:
    found = await read_configuration(store)
    rows: Iterator[tuple[str, str]] = iter(
        (
            ("StrictAffinity", str(found.strict_affinity).lower()),
            ("AutoAllocateBlocks", str(found.auto_allocate_blocks).lower()),
            ("MaxBlocksPerHost", str(found.max_blocks_per_host)),
        )
    )
    return printing.boxed(("PROPERTY", "VALUE"), rows)


SUBCOMMANDS: Sequence[Subcommand] = (
    Subcommand(
        Usage(
            "ipam show",
            "[--ip=<IP> | --show-blocks | --show-borrowed | --show-configuration]",
            "Show how addresses are used.",
            "Without options, the numbers of each pool.",
            (
                Option("ip", "Say whether this address is in use, and by whom.", value="IP"),
                Option("show-blocks", "The numbers of each block too."),
                Option("show-borrowed", "Addresses of one node's block that another node uses."),
                Option("show-configuration", "What the IPAM is told."),
            ),
            (("How full pools and blocks are.", "ipam show --show-blocks"),),
        ),
        _show,
    ),
)
