"""Labs of Calico's BGP with two, four or five nodes on one switch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.calico_bgp_lab import BgpLab, bgp_lab


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[BgpLab]:
    async with bgp_lab(tmp_path, 2) as lab:
        yield lab


@pytest.fixture
async def four(tmp_path: Path) -> AsyncIterator[BgpLab]:
    async with bgp_lab(tmp_path, 4) as lab:
        yield lab


@pytest.fixture
async def five(tmp_path: Path) -> AsyncIterator[BgpLab]:
    async with bgp_lab(tmp_path, 5) as lab:
        yield lab
