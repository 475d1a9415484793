import os
from collections.abc import AsyncIterator

import pytest
from support.kernel_contract import KernelContract
from support.namespaces import held_by_threads

from fabric.kernel.linux import LinuxKernel

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]


class OnLinux(KernelContract):
    flavour: str

    @pytest.fixture
    async def kernel(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LinuxKernel]:
        monkeypatch.setenv("FABRIC_IPTABLES", self.flavour)
        with held_by_threads("node-1", "node-2", "pod:1") as pids:
            kernel = LinuxKernel(pids)
            yield kernel
            kernel.close()


class TestLinuxWithLegacyTables(OnLinux):
    flavour = "legacy"


class TestLinuxWithNftTables(OnLinux):
    flavour = "nft"
