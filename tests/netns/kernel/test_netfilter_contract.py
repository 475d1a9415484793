import os

import pytest
from support.netfilter_contract import NetfilterContract
from support.netfilter_lab import netfilter_lab

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]


class OnLinux(NetfilterContract):
    flavour: str

    @pytest.fixture(scope="class")
    @classmethod
    def router(cls):
        with netfilter_lab(cls.flavour) as lab:
            yield lab

    async def walked(self, router, case):
        router.load(case.rules)
        outcomes = router.send(case.packets)
        return outcomes, router.met(case.rules)


class TestLinuxWithLegacyTables(OnLinux):
    flavour = "legacy"


class TestLinuxWithNftTables(OnLinux):
    flavour = "nft"
