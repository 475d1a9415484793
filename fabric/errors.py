"""Two kinds of error: the world said no (`FabricError`), and our own bugs (anything else).

A loop retries a `FabricError` with back-off and says so in status and events; any other
exception ends its process, and the supervisor starts that again. A message says what was
wrong, where, and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass


class FabricError(Exception):
    """The world said no: try again later, or tell the user. Exit code 1."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the user's input: where it stands, what it is, what is allowed."""

    where: str
    """`file:line` (lines count from 1), or a flag or argument."""
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class BadInput(FabricError):
    """The user's input cannot be right, whatever the world does. Exit code 2."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


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


class ServerUnavailable(ApiError):
    """The API server cannot be reached, or cannot reach its store."""

    code, reason = 503, "ServiceUnavailable"
