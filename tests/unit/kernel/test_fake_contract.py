import pytest
from support.kernel_contract import KernelContract

from fabric.kernel.fake import FakeKernel


class TestFakeKernel(KernelContract):
    @pytest.fixture
    def kernel(self) -> FakeKernel:
        return FakeKernel("node-1", "node-2", "pod:1")
