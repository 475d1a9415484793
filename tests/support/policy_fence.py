"""A fence tells that what was written before it is in force on every node.

It is a policy of two pods on two nodes, with labels of pods and of a namespace that it reads. Each turn opens
another port between them, and packets that then arrive prove that agents took all that came before.
"""

from __future__ import annotations

from collections.abc import Callable

from fabric.verify.probes import Job
from support.policy_objects import path_of
from support.policy_probes import PolicyProbes
from support.policy_worlds import kubernetes_policy
from support.unix_api import UnixApi

PODS = ("fence/one", "fence/two")
LOOK_SECONDS = 0.005
"""The time that a probe has at one look at whether the fence is in force."""


class PolicyFence:
    """The fence of one cluster."""

    def __init__(self, api: UnixApi, probes: PolicyProbes, job: Callable[[str, str, int], Job]) -> None:
        """`job` makes a probe by TCP of a source's and a target's name and a port."""
        self._api, self._probes, self._job = api, probes, job
        self._turn = self._labels_turn = 0

    def change(self, *, labels: bool) -> set[Job]:
        """Open the other port, and to other labels if so asked; return the probes that then arrive."""
        self._turn += 1
        if labels or self._turn == 1:
            self._labels_turn = self._turn
            for path in ("fence", *(it.replace("/", "/pods/") for it in PODS)):
                label = {"turn": str(self._turn)}
                self._api.ask("PATCH", f"/api/v1/namespaces/{path}", {"metadata": {"labels": label}})
        turn, number = {"matchLabels": {"turn": str(self._labels_turn)}}, 80 + self._turn % 2
        allowed = {"from": [{"namespaceSelector": turn, "podSelector": turn}], "ports": [{"port": number}]}
        fence = kubernetes_policy("fence", "fence", ingress=[allowed])
        if self._turn == 1:
            self._api.ask("POST", path_of(fence, name=False), fence)
        else:
            self._api.ask("PATCH", path_of(fence), {"spec": fence["spec"]})
        one, two = PODS
        return {self._job(one, two, number), self._job(two, one, number)}

    def is_in_force(self, jobs: set[Job]) -> bool:
        return self._probes.arrived(jobs, grace_seconds=LOOK_SECONDS) == jobs
