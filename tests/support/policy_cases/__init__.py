"""Named cases of policies: objects that are written step by step to a cluster of the pods x/a to z/c."""

from __future__ import annotations

from support.policy_cases import actions, blocks, calico, conflicts, peers, ports, targets

CASES = (
    *peers.CASES,
    *blocks.CASES,
    *ports.CASES,
    *targets.CASES,
    *conflicts.CASES,
    *actions.CASES,
    *calico.CASES,
)
