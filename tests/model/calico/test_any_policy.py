"""Whatever policy is accepted, it is converted, calculated, rendered and judged without an error."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from support.any_policy import SPECS, any_calico_objects, any_network_policies, full_network_policy
from support.policy_worlds import calico, endpoint, world
from support.rendered_policies import Rendered

from calico.policy.evaluator import CalicoEvaluator
from calico.resources.refusals import InvalidResource
from calico.resources.table import RESOURCE_TYPES, kind_of
from fabric.api.kinds import NETWORK_POLICY
from fabric.api.objects import Object
from fabric.apiserver import preparation
from fabric.apiserver.options import WriteOptions
from fabric.errors import FabricError
from fabric.plugin.policies import Flow
from fabric.policy.kubernetes import KubernetesEvaluator

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SEVERAL = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def kept(policy: Object) -> Object | None:
    """The NetworkPolicy as the server keeps it; None when it refuses. What comes over a wire is JSON."""
    try:
        sent = orjson.loads(orjson.dumps(policy))
        decoded = preparation.decoded(NETWORK_POLICY, sent, WriteOptions())
        return preparation.new_object(NETWORK_POLICY, "x", decoded, "", NOON)
    except (FabricError, orjson.JSONEncodeError):
        return None


def kept_by_calico(obj: Object) -> Object | None:
    """The same for a kind of Calico's."""
    try:
        return RESOURCE_TYPES[obj["kind"]].from_manifest(orjson.loads(orjson.dumps(obj))).to_object()
    except (InvalidResource, orjson.JSONEncodeError):
        return None


BLANK = calico(
    "GlobalNetworkPolicy",
    "thing",
    selector=" ",
    namespaceSelector="\t",
    ingress=[{"action": "Allow", "source": {"selector": " ", "namespaceSelector": "\n"}}],
)
"""Selectors of white space select all."""


def walk(*objects: Object) -> None:
    of = world(*objects)
    rendered = Rendered(of)
    for port in (80, 81):
        flow = Flow(endpoint(of, "x/a"), endpoint(of, "y/b"), 6, port)
        assert rendered.allows(flow) == CalicoEvaluator(of).judge(flow).allowed


@SEVERAL
@given(any_network_policies())
@example(full_network_policy())
def test_an_accepted_policy_of_kubernetes_is_enforced(policy):
    if (found := kept({**policy, "metadata": {"name": "policy-1", "namespace": "x"}})) is not None:
        walk(found)
        KubernetesEvaluator(world(found))


@SEVERAL
@given(any_calico_objects())
@example(BLANK)
def test_an_accepted_object_of_calicos_is_enforced(obj):
    if (found := kept_by_calico(obj)) is not None:
        walk(calico("Tier", "first", order=10), found)


@pytest.mark.parametrize("kind", sorted(SPECS))
def test_the_objects_that_are_changed_are_good_themselves(kind):
    metadata = {"name": "thing"}
    if kind_of(RESOURCE_TYPES[kind]).namespaced:
        metadata["namespace"] = "x"
    obj = {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": metadata, "spec": SPECS[kind]}
    assert kept_by_calico(obj) is not None
    assert kept(full_network_policy()) is not None
