import pytest

pytest.register_assert_rewrite("support.kernel_contract")

from support.kernel_contract import KernelContract  # noqa: E402

from fabric.kernel.fake import FakeKernel  # noqa: E402


class TestFakeKernel(KernelContract):
    @pytest.fixture
    def kernel(self) -> FakeKernel:
        return FakeKernel("node-1", "node-2", "pod:1")
