"""calicoctl as fabric finds it: the table of subcommands, and which of them is meant.

Messages and exit codes are calicoctl's: what was done goes to standard output, what was not to the error
stream, and then the code is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from calico.calicoctl import (
    changing,
    datastore_lock,
    ipam_check,
    ipam_configure,
    ipam_release,
    ipam_show,
    node_status,
    reading,
    writing,
)
from calico.calicoctl.arguments import UNIVERSAL, Arguments, BadUsage, Option, Usage, parse
from calico.calicoctl.completion import complete
from calico.calicoctl.ipam_report import cluster_information
from calico.calicoctl.session import Session, Subcommand
from calico.version import VERSION, git_commit
from fabric.errors import BadInput, FabricError
from fabric.plugin.commands import CommandContext


class Calicoctl:
    """The command `calicoctl`."""

    @property
    def summary(self) -> str:
        return "Calico's own tool: pools, BGP peers, addresses and sessions."

    @property
    def example(self) -> str:
        return "get ippools -o wide"

    def complete(self, words: Sequence[str], incomplete: str) -> Sequence[str]:
        """Subcommands, then what the subcommand takes: options, kinds, forms of output."""
        return complete(SUBCOMMANDS, words, incomplete)

    async def run(self, context: CommandContext) -> int:
        """Do what the words say; the exit code is 0 or 1."""
        session = Session(context)
        try:
            await _run(session, context.argv)
        except BadInput:
            raise
        except FabricError as error:
            context.stderr.write(f"{error}\n")
            return 1
        return 0


async def _run(session: Session, argv: Sequence[str]) -> None:
    words = _without_universal(argv)
    subcommand = _meant(words)
    if subcommand is None:
        typed = " ".join(word for word in words if not word.startswith("-"))
        if typed and not _names(typed):
            group = typed.split()[0] if _names(typed.split()[0]) else ""
            raise BadUsage(f'Unknown command: "{typed}"\n{overview(group)}')
        session.say(overview(typed))
        return
    rest = words[len(subcommand.usage.name.split()) :]
    try:
        arguments = parse(subcommand.usage, rest)
        if arguments.flag("help"):
            session.say(str(subcommand.usage))
        else:
            await subcommand.run(session, arguments)
    except BadUsage as error:
        said = f"Invalid option: 'calicoctl {' '.join(words)}' ({error})."
        raise BadUsage(f"{said} Use flag '--help' to read about a specific subcommand.") from None


def _meant(words: Sequence[str]) -> Subcommand | None:
    """The subcommand whose name the words begin with."""
    for subcommand in SUBCOMMANDS:
        name = subcommand.usage.name.split()
        if list(words[: len(name)]) == name:
            return subcommand
    return None


def _without_universal(argv: Sequence[str]) -> list[str]:
    """The words without what may stand before the subcommand and says nothing here."""
    rest = list(argv)
    while rest and rest[0].startswith("-") and rest[0] not in ("-h", "--help"):
        name, equals, _ = rest[0].lstrip("-").partition("=")
        option = next((option for option in UNIVERSAL if name in (option.name, option.short)), None)
        if option is None:
            raise BadUsage(
                f"Invalid option: '{' '.join(argv)}'. Use flag '--help' to read about a specific subcommand."
            )
        rest = rest[2 if option.value and not equals else 1 :]
    return rest


def overview(group: str = "") -> str:
    """The help of calicoctl, or of a group such as `ipam`."""
    shown = _names(group) if group else [subcommand.usage for subcommand in SUBCOMMANDS]
    width = max(len(usage.name) for usage in shown) + 2
    lines = ["Usage:", f"  calicoctl {group + ' ' if group else ''}<command> [<args>...]", ""]
    lines += [f"    {usage.name.ljust(width)}{usage.summary}" for usage in shown]
    lines += ["", "Options:", *map(str, UNIVERSAL), "", "Description:"]
    if not group:
        lines += [
            "  The calicoctl command line tool is used to manage Calico's resources: pools,",
            "  BGP, addresses.",
            "",
        ]
    lines.append("  See 'calicoctl <command> --help' to read about a specific subcommand.")
    return "\n".join(lines)


def _names(group: str) -> Sequence[Usage]:
    """The subcommands of a group."""
    return [it.usage for it in SUBCOMMANDS if it.usage.name.startswith(f"{group} ")]


async def _version(session: Session, arguments: Arguments) -> None:
    session.say(f"Client Version:    {VERSION}")
    session.say(f"Git commit:        {git_commit()}")
    if arguments.flag("client"):
        return
    information = await cluster_information((await session.cluster()).store)
    session.say(f"Cluster Version:   {information.spec.calico_version or 'unknown'}")
    session.say(f"Cluster Type:      {information.spec.cluster_type or 'unknown'}")


_VERSION = Subcommand(
    Usage(
        "version",
        "[--client]",
        "Show the version of this tool and of the cluster.",
        "Both are fabric's, and so is the Git commit: there is no other Calico here.",
        (Option("client", "This tool's only; needs no cluster."),),
    ),
    _version,
)

SUBCOMMANDS: Sequence[Subcommand] = tuple(
    chain(
        writing.SUBCOMMANDS,
        changing.SUBCOMMANDS,
        reading.SUBCOMMANDS,
        ipam_show.SUBCOMMANDS,
        ipam_check.SUBCOMMANDS,
        ipam_release.SUBCOMMANDS,
        ipam_configure.SUBCOMMANDS,
        node_status.SUBCOMMANDS,
        datastore_lock.SUBCOMMANDS,
        (_VERSION,),
    )
)
