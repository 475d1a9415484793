"""A real node a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from support.real_node import RealNode, real_node


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[RealNode]:
    (tmp_path / "runtime").mkdir()
    async with real_node(tmp_path) as node:
        yield node


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if "netns/kubelet" in str(item.path):
            item.add_marker(pytest.mark.netns)
