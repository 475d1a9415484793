"""The fake runtime keeps the contract."""

from __future__ import annotations

import pytest
from support.runtime_contract import RuntimeContract

from fabric.kernel.fake_runtime import FakeRuntime


class TestFakeRuntime(RuntimeContract):
    @pytest.fixture
    def runtime(self) -> FakeRuntime:
        return FakeRuntime()
