"""Parking sets aside a key whose reconciliation raised an unexpected exception, so that its loop goes on.

A parked key is told in the log, as an error with its traceback, and tried again when its object changes or
after `BACKOFF`. Parking is off until a program's entry point turns it on: in a test, a bug fails the test.
"""

from __future__ import annotations

import logging

from fabric.control.backoff import Backoff

BACKOFF = Backoff(60.0, 3600.0, jitter=0.5)
MARK = "PARKED"
"""The word by which a parked key is found in a log."""

_is_on = False


def turn_on() -> None:
    """Park bugs from here on, in this process; called by the entry points of components, never in a test."""
    global _is_on
    _is_on = True


def is_on() -> bool:
    return _is_on


def park(log: logging.Logger, owner: str, key: object, bug: Exception, seconds: float = 0.0) -> None:
    """Log that `key` of `owner` is parked because of `bug`; where parking is off, raise the bug instead.

    `seconds`: when the key is tried again although nothing changed; 0 when only a change brings it back.
    """
    if not _is_on:
        raise bug
    again = f" and again in {seconds:.0f} s" if seconds else ""
    log.error(
        "%s: %s %s: an unexpected exception; it is tried again when its object changes%s",
        owner,
        MARK,
        key,
        again,
        exc_info=bug,
    )
