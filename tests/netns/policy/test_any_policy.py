"""Whatever policy and FelixConfiguration is accepted, Linux takes the chains and sets that come of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.any_policy import any_calico_objects, any_felix, any_network_policies
from support.kernel_contract import left_to_do
from support.namespaces import held_by_threads
from support.policy_worlds import world
from support.rendered_policies import Rendered

from calico.felix.nat import ALL_HOSTS, ALL_VXLAN, set_name
from calico.felix.options import RuleOptions
from calico.resources.felix import FelixConfiguration, effective
from calico.resources.refusals import InvalidResource
from calico.resources.table import RESOURCE_TYPES
from fabric.api.kinds import NETWORK_POLICY
from fabric.api.objects import Object
from fabric.apiserver import preparation
from fabric.apiserver.options import WriteOptions
from fabric.errors import FabricError
from fabric.kernel import programs
from fabric.kernel.linux import LinuxKernel
from fabric.netstate.objects import Chain, IpSet, Jump, NetState
from fabric.netstate.plan import diff

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]
HOSTS = [
    IpSet(set_name(name, family), "hash:net", family) for name in (ALL_HOSTS, ALL_VXLAN) for family in (4, 6)
]
"""The sets of tunnels' ends, which follow from nodes."""
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Node:
    """A namespace that goes from one state to the next."""

    def __init__(self, kernel: LinuxKernel) -> None:
        self._host = kernel.host("node-1")
        self._state: NetState = frozenset()

    def take(self, state: NetState) -> None:
        asyncio.run(self._take(state))

    async def _take(self, state: NetState) -> None:
        await self._host.apply(diff(state, self._state))
        assert await left_to_do(self._host, state) == ""
        self._state = state


@pytest.fixture(scope="module", params=programs.FLAVOURS)
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    with pytest.MonkeyPatch.context() as patch, held_by_threads("node-1") as pids:
        patch.setenv("FABRIC_IPTABLES", request.param)
        kernel = LinuxKernel(pids)
        yield Node(kernel)
        kernel.close()


def kept(obj: Object) -> Object | None:
    """The object as the server keeps it; None when it refuses."""
    try:
        sent = orjson.loads(orjson.dumps(obj))
        if obj["apiVersion"] == NETWORK_POLICY.api_version:
            decoded = preparation.decoded(NETWORK_POLICY, sent, WriteOptions())
            return preparation.new_object(NETWORK_POLICY, "x", decoded, "", NOON)
        return RESOURCE_TYPES[obj["kind"]].from_manifest(sent).to_object()
    except (FabricError, InvalidResource, orjson.JSONEncodeError):
        return None


def options_of(obj: Object) -> RuleOptions:
    """How rules are rendered where that FelixConfiguration is accepted, else by the defaults."""
    found = kept(obj)
    felix = effective(None if found is None else FelixConfiguration.from_object(found))
    return RuleOptions(felix, tuple((felix.interface_prefix or "cali").split(",")), (4, 6), has_ipip=True)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(objects=st.lists(any_network_policies() | any_calico_objects(), max_size=3), felix=any_felix())
def test_linux_takes_what_comes_of_any_accepted_policy(node, objects, felix):
    named = [{**it, "metadata": {**it["metadata"], "name": f"thing-{n}"}} for n, it in enumerate(objects)]
    accepted = [found for it in named if (found := kept(it)) is not None]
    rendered = Rendered(world(*accepted), options_of(felix))
    rules = (it for it in rendered.objects["node-1"] if isinstance(it, Chain | Jump | IpSet))
    node.take(frozenset({*rules, *HOSTS}))
