"""create, apply, replace, delete and validate: resources one after another, and a sentence about all of them.

create, apply and delete go on after a refusal; replace stops at the first one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from calico.calicoctl.arguments import Arguments, Option, Usage
from calico.calicoctl.files import BadFile
from calico.calicoctl.manifests import (
    FILE_OPTIONS,
    NAMESPACE,
    kinds_but,
    loaded,
    resource_type_of,
    settled,
)
from calico.calicoctl.resource_client import READ_ONLY, ResourceClient
from calico.calicoctl.session import Refused, Session, Subcommand
from calico.calicoctl.targets import Target, targets
from calico.resources.envelope import Resource
from fabric.api.objects import Object
from fabric.errors import AlreadyExists, FabricError, NotFound

_BY_FILE = "--filename=<FILENAME> [--recursive] [--skip-empty]"


@dataclass(slots=True)
class Outcome:
    """The outcome of a command for each of its resources."""

    kinds: list[str]
    done: int = 0
    errors: list[FabricError] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The one kind, quoted and with a space behind it; empty for several."""
        return f"'{self.kinds[0]}' " if len(set(self.kinds)) == 1 else ""

    @property
    def said(self) -> str:
        """The errors, as Go prints a list of them."""
        return f"[{' '.join(map(str, self.errors))}]"


def told(session: Session, verb: str, past: str, outcome: Outcome) -> None:
    """Print the sentence; Refused carries what goes to the error stream."""
    total = len(outcome.kinds)
    if not total:
        session.say("No resources specified")
    elif not outcome.errors:
        session.say(f"Successfully {past} {outcome.done} {outcome.kind}resource(s)")
    elif not outcome.done:
        one = "" if total == 1 else "any "
        plural = "" if total == 1 else "s"
        raise Refused(f"failed to {verb} {one}{outcome.kind}resource{plural}: {outcome.said}")
    else:
        first = f"{past} the first {outcome.done} out of {total}"
        session.say(f"Partial success: {first} {outcome.kind}resources:")
        raise Refused(f"hit error: {outcome.said}")


def resources(session: Session, arguments: Arguments) -> list[Object]:
    """The objects that -f names; Refused says that the command could not begin."""
    try:
        found = loaded(arguments, session.context.stdin)
        for obj in found:
            resource_type_of(obj)
    except BadFile as error:
        raise Refused(f"failed to execute command: {error}") from None
    return found


async def _create(session: Session, arguments: Arguments) -> None:
    async def one(client: ResourceClient, resource: Resource) -> None:
        try:
            await client.create(resource)
        except AlreadyExists:
            if not arguments.flag("skip-exists"):
                raise

    await _each(session, arguments, "create", "created", one)


async def _apply(session: Session, arguments: Arguments) -> None:
    async def one(client: ResourceClient, resource: Resource) -> None:
        await client.apply(resource)

    await _each(session, arguments, "apply", "applied", one)


async def _replace(session: Session, arguments: Arguments) -> None:
    async def one(client: ResourceClient, resource: Resource) -> None:
        await client.update(resource)

    await _each(session, arguments, "replace", "replaced", one, stops=True)


async def _each(
    session: Session,
    arguments: Arguments,
    verb: str,
    past: str,
    act: Callable[[ResourceClient, Resource], Awaitable[None]],
    *,
    stops: bool = False,
) -> None:
    found = resources(session, arguments)
    outcome = Outcome([obj["kind"] for obj in found])
    client = await session.resources()
    for obj in found:
        try:
            await act(client, settled(resource_type_of(obj).from_manifest(obj), arguments))
            outcome.done += 1
        except FabricError as error:
            outcome.errors.append(error)
            if stops:
                break
    told(session, verb, past, outcome)


async def _validate(session: Session, arguments: Arguments) -> None:
    found = resources(session, arguments)
    outcome = Outcome([obj["kind"] for obj in found])
    for obj in found:
        try:
            settled(resource_type_of(obj).from_manifest(obj), arguments)
            outcome.done += 1
        except FabricError as error:
            outcome.errors.append(error)
    told(session, "validate", "validated", outcome)


async def _delete(session: Session, arguments: Arguments) -> None:
    wanted = targets(session, arguments)
    outcome = Outcome([target.resource_type.KIND for target in wanted])
    client = await session.resources()
    for target in wanted:
        try:
            await _delete_one(client, target, arguments)
            outcome.done += 1
        except FabricError as error:
            outcome.errors.append(error)
    if outcome.done:
        session.say(f"Successfully deleted {outcome.done} {outcome.kind}resource(s)")
    if outcome.errors:
        lines = (f"Failed to delete {outcome.kind}resource: {error}" for error in outcome.errors)
        raise Refused("\n".join(lines))
    if not wanted:
        session.say("No resources specified")


async def _delete_one(client: ResourceClient, target: Target, arguments: Arguments) -> None:
    if not target.name:
        raise Refused("resource name may not be empty")
    try:
        await client.delete(target.resource_type, target.name, target.namespace, target.resource_version)
    except NotFound:
        if not arguments.flag("skip-not-exists"):
            raise


def _usage(name: str, summary: str, description: str, *more: Option) -> Usage:
    flags = "".join(f" [--{option.name}]" for option in more)
    return Usage(
        name,
        f"{_BY_FILE}{flags} [--namespace=<NS>]",
        summary,
        f"{description}\n\nValid kinds:\n" + "\n".join(kinds_but(READ_ONLY)),
        (*FILE_OPTIONS, *more, NAMESPACE),
        (
            (f"{summary.split()[0]} what pool.yaml holds.", f"{name} -f pool.yaml"),
            ("The same from standard input.", f"{name} -f -"),
        ),
    )


SUBCOMMANDS: Sequence[Subcommand] = (
    Subcommand(
        _usage(
            "create",
            "Create resources by file, folder or stdin.",
            "A resource that is there already is an error; the others are created.",
            Option("skip-exists", "Pass over resources that are there."),
        ),
        _create,
    ),
    Subcommand(
        _usage(
            "apply",
            "Create resources, or replace those that are there.",
            "The spec is replaced as a whole; labels and annotations are added to those that are there.",
        ),
        _apply,
    ),
    Subcommand(
        _usage(
            "replace",
            "Replace resources that are there.",
            "A resource with a resourceVersion replaces that version only. Stops at the first error.",
        ),
        _replace,
    ),
    Subcommand(
        Usage(
            "delete",
            f"( <KIND> <NAME>... | {_BY_FILE} ) [--skip-not-exists] [--namespace=<NS>]",
            "Delete resources by kind and name, or by file.",
            "A pool is disabled, and nodes lose their affinities to its blocks, before it goes; pods keep\n"
            "their addresses. A node goes with what Calico keeps for it; one that is part of the cluster\n"
            "cannot be deleted here.",
            (
                *FILE_OPTIONS,
                Option("skip-not-exists", "Pass over resources that are not there.", "s"),
                NAMESPACE,
            ),
            (("Delete two pools.", "delete ippool pool-1 pool-2"),),
            words_max=None,
        ),
        _delete,
    ),
    Subcommand(
        _usage(
            "validate",
            "Check resources, and change nothing.",
            "Needs no cluster: each resource is judged by itself.",
        ),
        _validate,
    ),
)
