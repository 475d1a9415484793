import pytest
from support.netfilter_contract import NetfilterContract, modelled


class TestFakeNetfilter(NetfilterContract):
    @pytest.fixture
    def router(self) -> None:
        return None

    async def walked(self, router, case):
        return await modelled(case.rules, case.packets)
