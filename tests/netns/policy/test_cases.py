"""Named cases of policies on a real cluster: after every step all cells are as the oracles say."""

from __future__ import annotations

import pytest
from support.policy_cases import CASES
from support.policy_cases.steps import Case
from support.policy_cluster import PolicyCluster


def test_there_are_at_least_250_cases_each_with_a_name_of_its_own():
    assert len({it.name for it in CASES}) == len(CASES) >= 250


@pytest.mark.parametrize("case", CASES, ids=str)
def test_after_each_step_packets_pass_as_the_oracles_say(calico: PolicyCluster, case: Case):
    for step in case.steps:
        for action in step:
            action.do(calico)
        calico.settle()
