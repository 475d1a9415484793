"""The event loop of a component."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any

import uvloop

from fabric.control import parking

OBJECTS_MAX = 10_000
"""New objects until the youngest are looked through for cycles: most of a component's stay, in caches."""


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a component's main coroutine on uvloop until it ends; a bug in one key does not end it."""
    parking.turn_on()
    gc.set_threshold(OBJECTS_MAX)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
