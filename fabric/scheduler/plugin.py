"""The shape of a scheduling plugin: look at the pod once, then judge nodes.

A filter returns None when it has nothing to say about the pod, else a judge of one node: the reasons why
the pod may not go there, in kube-scheduler's words, or nothing. A score returns None, or one number
from 0 (worst) to 100 for each node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fabric.scheduler.clusterstate import ClusterState, NodeInfo
from fabric.scheduler.podinfo import PodInfo

Reasons = tuple[str, ...]
Judge = Callable[[NodeInfo], Reasons]
Filter = Callable[[PodInfo, ClusterState], Judge | None]
Score = Callable[[PodInfo, ClusterState, Sequence[NodeInfo]], Sequence[float] | None]

SCORE_MAX = 100.0


def least_is_best(raw: Sequence[float]) -> Sequence[float] | None:
    """0 scores 100, the largest scores 0; None when all are 0."""
    worst = max(raw)
    return [SCORE_MAX * (1 - value / worst) for value in raw] if worst else None


def most_is_best(raw: Sequence[float]) -> Sequence[float] | None:
    """The largest scores 100, the smallest 0 when negative numbers are possible, else in proportion to 0."""
    best, worst = max(raw), min(0.0, min(raw))
    return [SCORE_MAX * (value - worst) / (best - worst) for value in raw] if best != worst else None
