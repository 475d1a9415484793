"""Policies and their tiers in the store: what a cluster begins with, and what neither client may do."""

from __future__ import annotations

import pytest
from support.calico_ipam import noon_clock
from support.calicoctl import Ctl

from calico import bootstrap
from calico.resources import datastore, without_effect
from calico.resources.endpoints import DEFAULT_ALLOW, Profile
from calico.resources.policies import GlobalNetworkPolicy, NetworkPolicy
from calico.resources.rules import EntityRule, PolicyRule, ServiceMatch
from calico.resources.tiers import Tier
from calico.settings import Settings

HEAD = "apiVersion: projectcalico.org/v3\nkind: {}\nmetadata: {{name: {}}}\nspec: {}\n"
SECURITY = HEAD.format("Tier", "security", "{order: 100}")
IN_SECURITY = HEAD.format("NetworkPolicy", "security.deny", "{tier: security}")


@pytest.fixture
async def ctl():
    ctl = Ctl()
    await bootstrap.write(ctl.store, noon_clock(), Settings(backend="none"))
    return ctl


async def test_a_cluster_begins_with_calicos_tiers_and_a_profile_that_allows_all(ctl):
    tiers = {
        it.name: (it.spec.order, it.spec.default_action) for it in await datastore.listed(ctl.store, Tier)
    }
    assert tiers == {
        "default": (1_000_000, "Deny"),
        "kube-admin": (1_000, "Pass"),
        "kube-baseline": (10_000_000, "Pass"),
    }
    profile = await datastore.get(ctl.store, Profile, DEFAULT_ALLOW)
    assert profile.spec.ingress == profile.spec.egress == (PolicyRule(action="Allow"),)


async def test_a_policy_of_a_tier_that_is_not_there_is_refused_until_somebody_makes_it(ctl):
    assert await ctl.refuses("apply", "-f", "-", stdin=IN_SECURITY) == (
        "failed to apply 'NetworkPolicy' resource: [error with field NetworkPolicy.spec.tier = 'security' "
        "(resource does not exist: Tier(security); create the tier first)]"
    )
    both = f"{SECURITY}---\n{IN_SECURITY}"
    assert await ctl.does("apply", "-f", "-", stdin=both) == "Successfully applied 2 resource(s)\n"


async def test_a_tier_goes_only_when_no_policy_is_in_it(ctl):
    await ctl.does("apply", "-f", "-", stdin=f"{SECURITY}---\n{IN_SECURITY}")
    assert "Cannot delete a non-empty tier; NetworkPolicy(default/security.deny) is in it" in (
        await ctl.refuses("delete", "tier", "security")
    )
    await ctl.does("delete", "np", "security.deny")
    await ctl.does("delete", "tier", "security")
    assert await datastore.get(ctl.store, Tier, "security") is None


@pytest.mark.parametrize("name", ["default", "kube-admin", "kube-baseline"])
async def test_calicos_own_tiers_cannot_be_deleted(ctl, name):
    assert f"Cannot delete {name} tier" in await ctl.refuses("delete", "tier", name)


async def test_the_profile_that_allows_all_stays_as_it_is(ctl):
    assert "cannot be deleted" in await ctl.refuses("delete", "profile", DEFAULT_ALLOW)
    changed = HEAD.format("Profile", DEFAULT_ALLOW, "{ingress: [{action: Deny}]}")
    assert "cannot be changed" in await ctl.refuses("replace", "-f", "-", stdin=changed)


def test_rules_for_a_direction_that_the_policy_is_not_about_are_warned_of():
    allow = (PolicyRule(action="Allow"),)
    policy = NetworkPolicy.named("one", "default", egress=allow, types=("Ingress",))
    assert list(without_effect.warnings(policy)) == [
        "spec.egress: it changes nothing: spec.types has no Egress"
    ]
    assert list(without_effect.warnings(NetworkPolicy.named("one", "default", egress=allow))) == []


def test_a_selector_of_pods_in_a_policy_for_host_endpoints_is_warned_of():
    policy = GlobalNetworkPolicy.named(
        "one", do_not_track=True, apply_on_forward=True, namespace_selector="has(team)"
    )
    (told,) = without_effect.warnings(policy)
    assert told.startswith("spec.namespaceSelector: it selects pods")


def test_a_rule_for_a_service_is_warned_of_while_there_are_none():
    rule = PolicyRule(action="Allow", destination=EntityRule(services=ServiceMatch(name="web")))
    assert list(without_effect.warnings(NetworkPolicy.named("one", "default", egress=(rule,)))) == [
        "spec.egress[0].destination.services: the rule matches nothing: the API has no Services yet, so that"
        " none has an endpoint"
    ]
