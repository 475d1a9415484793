import pytest
from support.ipip_contract import IpipContract
from support.kernel_contract import KernelContract
from support.netem_contract import NetemContract

from fabric.kernel.fake import FakeKernel


class OnTheFake:
    @pytest.fixture
    def kernel(self) -> FakeKernel:
        return FakeKernel("node-1", "node-2", "pod:1")


class TestFakeKernel(OnTheFake, KernelContract):
    def tamper(self, kernel, name, rule):
        kernel.host(name).tamper_delete(rule)
        kernel.host(name).tamper_add(rule)

    def forwarded(self, kernel, name):
        return list(kernel.host(name).built_in("filter", "FORWARD"))


class TestFakeIpip(OnTheFake, IpipContract):
    pass


class TestFakeNetem(OnTheFake, NetemContract):
    pass
