"""One runtime a test, with a pod on a node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from support.pod_shell import PodShell
from support.runtime_process import running


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[PodShell]:
    async with running(tmp_path) as (process, client):
        shell = PodShell(process, client, tmp_path)
        await shell.start_pod()
        yield shell


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if "netns/runtime" in str(item.path):
            item.add_marker(pytest.mark.netns)
