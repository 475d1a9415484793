"""Random policies on Linux: what arrives between two nodes' pods is what the oracle says."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.any_world import examples, flows, placed_worlds
from support.policy_lab import SHORT, SURE, is_asked, policy_lab
from support.world_policies import calicos, kubernetes, objects_of

from calico.policy.evaluator import CalicoEvaluator

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]
EXAMPLES, FLOWS_MAX = 300, 40


def test_what_arrives_is_what_policies_allow_from_one_world_to_the_next():
    asked = []
    with policy_lab() as lab:

        @settings(
            max_examples=examples(EXAMPLES),
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        )
        @given(
            placed_worlds,
            st.lists(kubernetes, max_size=3),
            st.lists(calicos, max_size=3),
            st.integers(0, 1000),
        )
        def held(world, some, more, seed):
            world = replace(world, objects=(*world.objects, *objects_of(some, more)))
            lab.become(world)
            evaluator = CalicoEvaluator(world)
            wanted = {it: evaluator.judge(it) for it in filter(is_asked, flows(world, seed, 100))}
            its = list(wanted)[:FLOWS_MAX]
            found = zip(its, lab.allowed(its, SHORT), strict=True)
            doubtful = [flow for flow, arrives in found if arrives != wanted[flow].allowed]
            again = zip(doubtful, lab.allowed(doubtful, SURE), strict=True)
            wrong = [f"{it}: {wanted[it]}" for it, arrives in again if arrives != wanted[it].allowed]
            assert not wrong, "\n".join(wrong)
            asked.append(len(its))

        held()
        assert lab.left_to_do() == ""
    assert len(asked) >= EXAMPLES and sum(asked) > 10 * EXAMPLES
