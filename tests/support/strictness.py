"""Strict tests: an exception that is nobody's refusal fails the test in which it was logged.

In production such an exception is logged with its traceback, answered (a request) or put aside (a key of a
loop), and the component lives on. In tests nothing of the kind may happen, unless the test is about it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from fabric.control import parking
from fabric.errors import FabricError

LOGGERS = ("fabric", "flannel", "calico", "canal", "aiohttp", "asyncio")


class _Bugs(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        is_bug = error is not None and not isinstance(error, FabricError)
        # Python 3.11's stream server logs its own cancelled connections at the end of a loop.
        is_bug = is_bug and not (record.name == "asyncio" and isinstance(error, asyncio.CancelledError))
        # Parking is off in tests: whoever turns it on is about it.
        is_bug = is_bug and f" {parking.MARK} " not in record.getMessage()
        if is_bug and record.name.partition(".")[0] in LOGGERS:
            self.records.append(record)


@contextmanager
def logged_bugs() -> Iterator[list[logging.LogRecord]]:
    """The errors with a traceback that are logged in this process during the block."""
    handler = _Bugs()
    logging.getLogger().addHandler(handler)
    try:
        yield handler.records
    finally:
        logging.getLogger().removeHandler(handler)


def told(records: list[logging.LogRecord]) -> str:
    """The records with their tracebacks, as text."""
    formatter = logging.Formatter("%(name)s: %(message)s")
    return "\n".join(map(formatter.format, records))
