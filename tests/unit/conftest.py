"""The unit lane: virtual time, no root, no kernel."""

import pytest
from support.virtual_time import VirtualTimeLoop

from fabric.control import backoff


def pytest_asyncio_loop_factories(config, item):
    return {"virtual": VirtualTimeLoop}


class _NoChance:
    def random(self):
        return 0.0


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    """Delays are exact here, as the clock is."""
    monkeypatch.setattr(backoff, "RANDOM", _NoChance())
