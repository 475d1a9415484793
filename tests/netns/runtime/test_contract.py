"""The fork server and its client keep the contract, with real processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.daemon_contract import DaemonContract
from support.runtime_contract import RuntimeContract
from support.runtime_process import running

from fabric.runtime.client import RuntimeClient

pytestmark = pytest.mark.netns


class TestRuntimeProcess(RuntimeContract, DaemonContract):
    @pytest.fixture
    async def runtime(self, tmp_path: Path) -> AsyncIterator[RuntimeClient]:
        async with running(tmp_path) as (_, client):
            yield client
