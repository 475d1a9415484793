"""The event loop of a component."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import uvloop

from fabric.control import parking


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a component's main coroutine on uvloop until it ends; a bug in one key does not end it."""
    parking.turn_on()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
