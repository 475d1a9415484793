"""ipam configure and ipam split: what the IPAM is told, and one pool made into several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from calico.calicoctl.arguments import Arguments, Option, Usage
from calico.calicoctl.ipam_report import cluster_information
from calico.calicoctl.session import Refused, Session, Subcommand
from calico.ipam import keys
from calico.ipam.configuration import Configuration
from calico.ipam.records import TRIES_MAX, TooBusy, read
from calico.resources import datastore
from calico.resources.envelope import Metadata
from calico.resources.pools import IPPool
from calico.resources.refusals import InvalidResource
from calico.resources.table import kind_of, store_key
from fabric.control.clock import Clock
from fabric.store.port import Delete, ModRevision, Put, Store

_TRUTH = {
    "true": True,
    "True": True,
    "TRUE": True,
    "t": True,
    "1": True,
    "false": False,
    "False": False,
    "FALSE": False,
    "f": False,
    "0": False,
}
BLOCKS_MAX = 2**31 - 1
NAME_LENGTH_MAX = 245


async def _configure(session: Session, arguments: Arguments) -> None:
    strict, blocks = arguments.value("strictaffinity"), arguments.value("max-blocks-per-host")
    if not strict and not blocks:
        raise Refused("at least one configuration option must be specified")
    if strict and strict not in _TRUTH:
        raise Refused("invalid value. Use true or false to set strictaffinity")
    if blocks and not (blocks.isascii() and blocks.isdecimal() and int(blocks) <= BLOCKS_MAX):
        raise Refused("invalid value for maxblockhost. Use a valid number")

    def change(configuration: Configuration) -> Configuration:
        if strict:
            configuration = replace(configuration, strict_affinity=_TRUTH[strict])
        return replace(configuration, max_blocks_per_host=int(blocks)) if blocks else configuration

    await _written((await session.cluster()).store, change)
    if strict:
        session.say(f"Successfully set StrictAffinity to: {str(_TRUTH[strict]).lower()}")
    if blocks:
        session.say(f"Successfully set MaxBlocksPerHost to: {int(blocks)}")


async def _written(store: Store, change: Callable[[Configuration], Configuration]) -> None:
    for _ in range(TRIES_MAX):
        record = await read(store, keys.CONFIG, Configuration.from_json)
        before = record.value or Configuration()
        after = change(before)
        if after != before and (refusal := after.refusal()):
            raise Refused(f"error: {refusal}")
        value = after.to_json()
        written = await store.txn([ModRevision(keys.CONFIG, record.revision)], [Put(keys.CONFIG, value)])
        if written.succeeded:
            return
    raise TooBusy("others change the IPAM's configuration all the time: try again")


async def _split(session: Session, arguments: Arguments) -> None:
    text, name, cidr = arguments.words[0], arguments.value("name"), arguments.value("cidr")
    if not (text.isascii() and text.isdecimal()):
        raise Refused(f"error reading number to split IP pools into. {text} is not a valid number")
    if not name and not cidr:
        raise Refused("no name or CIDR provided. Provide a name or CIDR to denote the IP pool to split")
    store = (await session.cluster()).store
    if (await cluster_information(store)).spec.datastore_ready is not False:
        raise Refused(
            "datastore is not locked. Run the `calicoctl datastore migrate lock` command in order split "
            "the IP pools"
        )
    pools = await datastore.listed(store, IPPool)
    old = next(
        (pool for pool in pools if name in ("", pool.name) and cidr in ("", str(pool.spec.cidr))), None
    )
    if old is None:
        raise Refused(f"unable to find IP pool {name} covering the specified CIDR {cidr}")
    new = parts(old, int(text))
    await _exchange(store, session.context.clock, old, new)
    session.say(f"IP Pool {old.name} was successfully split into {len(new)} smaller pools.")
    for pool in new:
        session.say(f"Created {pool.name} with CIDR {pool.spec.cidr}.")
    session.say("Please refer to the documentation for final steps.")


def parts(pool: IPPool, count: int) -> list[IPPool]:
    """The pools that the pool becomes; Refused when it cannot be cut so."""
    steps = count.bit_length() - 1
    why = f"error splitting the CIDR {pool.spec.cidr} into {count} CIDRs"
    if steps < 1 or count != 1 << steps:
        raise Refused(f"{why}: number to split CIDR into is not a valid power of 2: {count}")
    length = pool.spec.cidr.prefixlen + steps
    if length > pool.spec.cidr.max_prefixlen:
        raise Refused(f"{why}: the CIDR {pool.spec.cidr} is not large enough to be split into {count} parts")
    subnets: Any = pool.spec.cidr.subnets(prefixlen_diff=steps)
    found = [
        IPPool(
            metadata=Metadata(
                name=f"split-{pool.name[:NAME_LENGTH_MAX]}-{index}",
                labels=pool.metadata.labels,
                annotations=pool.metadata.annotations,
            ),
            spec=replace(pool.spec, cidr=subnet, disabled=False),
        )
        for index, subnet in enumerate(subnets)
    ]
    if refusals := found[0].refusals():
        raise InvalidResource(IPPool.KIND, found[0].name, refusals)
    return found


async def _exchange(store: Store, clock: Clock, old: IPPool, new: Sequence[IPPool]) -> None:
    """The old pool for the new ones, in one transaction; blocks and addresses stay as they are."""
    kind = kind_of(IPPool)
    made = [datastore.stamped(pool, clock) for pool in new]
    there = store_key(kind, old.name)
    compares = [ModRevision(there, int(old.metadata.resource_version))]
    compares += [ModRevision(store_key(kind, pool.name), 0) for pool in made]
    puts = [Put(store_key(kind, pool.name), datastore.encode(pool)) for pool in made]
    if not (await store.txn(compares, [*puts, Delete(there)])).succeeded:
        raise Refused(f"IPPool({old.name}) changed meanwhile, or split-{old.name}-0 is there: try again")


SUBCOMMANDS: Sequence[Subcommand] = (
    Subcommand(
        Usage(
            "ipam configure",
            "[--strictaffinity=<true/false>] [--max-blocks-per-host=<number>]",
            "Change what the IPAM is told.",
            "Nodes follow with the next address that they give out.",
            (
                Option(
                    "strictaffinity", "true: a node takes addresses only from its\nown blocks.", value="bool"
                ),
                Option("max-blocks-per-host", "Blocks that one node may have; 0 is 20.", value="number"),
            ),
            (("No borrowing.", "ipam configure --strictaffinity=true"),),
        ),
        _configure,
    ),
    Subcommand(
        Usage(
            "ipam split",
            "<NUMBER> ( --cidr=<CIDR> | --name=<POOL_NAME> )",
            "Cut a pool into smaller ones.",
            "The datastore must be locked. The number is a power of two. Blocks and addresses stay.",
            (
                Option("cidr", "CIDR of the pool.", value="CIDR"),
                Option("name", "Name of the pool.", value="POOL_NAME"),
            ),
            (("Two pools of half the size.", "ipam split --name=pool-1 2"),),
            words_min=1,
            words_max=1,
        ),
        _split,
    ),
)
