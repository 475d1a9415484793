"""The fake runtime keeps the contract."""

from __future__ import annotations

import pytest
from support.daemon_contract import DaemonContract
from support.runtime_contract import RuntimeContract

from fabric.runtime.fake import FakeRuntime


class TestFakeRuntime(RuntimeContract, DaemonContract):
    @pytest.fixture
    def runtime(self) -> FakeRuntime:
        return FakeRuntime()
