"""Errors are of two kinds: the world said no (`FabricError`), and our own bugs (anything else).

A loop retries a `FabricError` with back-off and says so in status and events. Any other exception parks the
key that it met (`fabric.control.parking`); outside a key it ends its process, and the supervisor starts that
again. A message says what was wrong, where, and what to do.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


def plural(count: int, noun: str) -> str:
    """`1 node`, `2 nodes`, `3 processes`: a number in a message."""
    return f"{count} {noun}" + ("" if count == 1 else "es" if noun.endswith("s") else "s")


WORD_CHARACTERS_MAX, SENTENCE_CHARACTERS_MAX = 256, 2048
_LONG_WORD = re.compile(rf"\S{{{WORD_CHARACTERS_MAX + 1},}}")


def brief(sentence: str) -> str:
    """Return a message as it is shown: whatever value stands in it, its beginning and its end can be read.

    A long word loses its end, a long sentence its middle (the remedy comes last), and what would move a
    terminal's cursor is written as an escape.
    """
    shown = "".join(it if it.isprintable() else it.encode("unicode_escape").decode() for it in sentence)
    text = _LONG_WORD.sub(lambda found: found[0][: WORD_CHARACTERS_MAX - 1] + "…", shown)
    if len(text) > SENTENCE_CHARACTERS_MAX:
        half = SENTENCE_CHARACTERS_MAX // 2
        text = f"{text[: half - 1]}…{text[-half:]}"
    return text


class FabricError(Exception):
    """The world said no: try again later, or tell the user. Exit code 1."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault of the user's input: where it stands, what it is, what is allowed."""

    where: str
    """`file:line` (lines count from 1), or a flag or argument."""
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {brief(self.what)}"


class BadInput(FabricError):
    """The user's input cannot be right, whatever the world does. Exit code 2."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class OutOfResources(FabricError):
    """The machine has no more of something: disk, descriptors, processes or memory."""


_EXHAUSTED = {
    errno.ENOSPC: "the disk is full: free some of it",
    errno.EDQUOT: "the disk quota is used up: free some of it",
    errno.EMFILE: "this process has no file descriptors left: raise `ulimit -n`",
    errno.ENFILE: "the machine has no file descriptors left: raise fs.file-max",
    errno.EAGAIN: "no process or thread can be started: raise `ulimit -u` or kernel.pid_max",
    errno.ENOMEM: "the machine has no memory left",
}


def refusal_in(error: BaseException) -> FabricError | None:
    """Return the world's refusal that `error` is, or None for a bug.

    An exhausted resource is a refusal too; so is a group of nothing but refusals, of which the first is told.
    """
    match error:
        case FabricError():
            return error
        case OSError() if error.errno in _EXHAUSTED:
            where = f" ({error.filename})" if error.filename else ""
            return OutOfResources(f"{error.strerror}{where}: {_EXHAUSTED[error.errno]}")
        case BaseExceptionGroup():
            refusals = [refusal_in(each) for each in error.exceptions]
            return refusals[0] if all(refusals) else None
    return None


class KernelRefused(FabricError):
    """Linux refused a step of a plan; the message names the step, the namespace and the errno."""


class StoreUnavailable(FabricError):
    """The store does not answer (restarting, or gone)."""


class Compacted(FabricError):
    """A revision asked for is older than the store remembers: list again, and watch from there."""


class ApiError(FabricError):
    """The API server's refusal: a Kubernetes Status with its HTTP code and reason."""

    code = 500
    reason = "InternalError"

    def __init__(self, message: str, *, details: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details or {}


class BadRequest(ApiError):
    """The request itself is malformed."""

    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    """No valid credentials."""

    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    """The credentials, or an admission rule, do not allow it."""

    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    """No such object, kind or path."""

    code, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    """The verb does not exist for this resource."""

    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    """No representation that the client accepts."""

    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    """A create met an object of that name."""

    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    """A write was based on an old resource version, or a precondition failed: read again, retry."""

    code, reason = 409, "Conflict"


class Gone(ApiError):
    """The resource version asked for is too old (compacted): relist."""

    code, reason = 410, "Expired"


class TooLarge(ApiError):
    """The body is larger than the server takes."""

    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    """The body's content type is unknown for this verb."""

    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """The object breaks its schema or a rule; details carry one cause per field."""

    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    """A limit is reached (eviction budgets, queues): retry later."""

    code, reason = 429, "TooManyRequests"


class Timeout(ApiError):
    """A request's condition did not come about in time; the details say when to ask again."""

    code, reason = 504, "Timeout"


class ServerUnavailable(ApiError):
    """The API server cannot be reached, or cannot reach its store."""

    code, reason = 503, "ServiceUnavailable"


@contextmanager
def disk_refusals(error: type[FabricError], doing: str) -> Iterator[None]:
    """Raise `error` when the disk refuses: full, a name too long, a loop of links, a NUL byte.

    Every write of a pod's or node's files stands in such a block: what a pod asks for must end no kubelet.
    """
    try:
        yield
    except OSError as refusal:
        where = f" ({refusal.filename})" if refusal.filename and str(refusal.filename) not in doing else ""
        raise error(f"{doing}: {refusal.strerror or refusal}{where}") from refusal
    except ValueError as refusal:
        if not isinstance(refusal, UnicodeError) and "null byte" not in str(refusal):
            raise
        raise error(f"{doing}: {refusal}") from refusal
