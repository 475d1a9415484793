import asyncio
import os
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from support.any_rules import cases
from support.netfilter_contract import NetfilterContract, Outcome, difference, modelled
from support.netfilter_lab import netfilter_lab
from support.netfilter_packets import Case

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


def _seen(outcome: Outcome, case: Case) -> Outcome:
    """What is to be the same on both sides: of two connections of one port Linux draws another at random."""
    is_drawn = "MASQUERADE" in case.text
    return replace(outcome, ends=re.sub(r":\d+>", ">", outcome.ends)) if is_drawn else outcome


@pytest.mark.parametrize("flavour", ["legacy", "nft"])
def test_any_rules_lead_packets_as_the_model_says(flavour: str):
    with netfilter_lab(flavour) as lab:

        @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
        @given(cases)
        def held(case):
            lab.load(case.rules)
            outcomes = lab.send(case.packets)
            met = lab.met(case.rules)
            expected, expected_met = asyncio.run(modelled(case.rules, case.packets))
            pairs = zip(case.lines, outcomes, expected, strict=True)
            told = [
                f"{line}: {seen} and not {said}"
                for line, seen, said in pairs
                if _seen(seen, case) != _seen(said, case)
            ]
            assert not told, "\n".join([case.text, *told])
            assert met == expected_met, f"{case.text}\n{difference(met, expected_met)}"

        held()
