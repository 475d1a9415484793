"""patch and label: one resource, changed where it stands."""

from __future__ import annotations

import json

import pytest
from support.calicoctl import Ctl

from calico.resources import datastore
from calico.resources.bgp_peers import BGPPeer
from calico.resources.pools import IPPool

HEAD = "apiVersion: projectcalico.org/v3\nkind: {}\nmetadata: {{name: {}}}\nspec: {}\n"
POOL = HEAD.format("IPPool", "pool-1", "{cidr: 10.244.0.0/24}")
PEER = HEAD.format("BGPPeer", "tor", "{peerIP: 192.0.2.1, asNumber: 65001}")


@pytest.fixture
async def ctl():
    return await Ctl().began()


async def stored(ctl: Ctl, name: str = "pool-1") -> IPPool | None:
    return await datastore.get(ctl.store, IPPool, name)


@pytest.mark.parametrize(
    ("type_", "patch"),
    [
        ("merge", {"spec": {"natOutgoing": True, "allowedUses": ["Workload"]}}),
        ("strategic", {"spec": {"natOutgoing": True, "allowedUses": ["Workload"]}}),
        (
            "json",
            [
                {"op": "add", "path": "/spec/natOutgoing", "value": True},
                {"op": "remove", "path": "/spec/allowedUses/1"},
            ],
        ),
    ],
)
async def test_patches_of_three_types(ctl, type_, patch):
    await ctl.does("create", "-f", "-", stdin=POOL)
    said = await ctl.does("patch", "ippool", "pool-1", "--type", type_, f"--patch={json.dumps(patch)}")
    assert said == "Successfully patched 1 'IPPool' resource\n"
    spec = (await stored(ctl)).spec
    assert spec.nat_outgoing and spec.allowed_uses == ("Workload",) and spec.block_size == 26


async def test_a_strategic_patch_replaces_or_deletes_where_it_says_so(ctl):
    await ctl.does(
        "create",
        "-f",
        "-",
        stdin=PEER.replace("asNumber", "password: {secretKeyRef: {name: a, key: b}}, asNumber"),
    )
    await ctl.does(
        "patch",
        "bgppeer",
        "tor",
        "-p",
        '{"spec":{"password":{"$patch":"replace","secretKeyRef":{"name":"c"}}}}',
    )
    assert (await datastore.get(ctl.store, BGPPeer, "tor")).spec.password == {"secretKeyRef": {"name": "c"}}
    await ctl.does("patch", "bgppeer", "tor", "-p", '{"spec":{"password":{"$patch":"delete"}}}')
    assert (await datastore.get(ctl.store, BGPPeer, "tor")).spec.password is None


async def test_a_patch_keeps_to_the_rules(ctl):
    await ctl.does("create", "-f", "-", stdin=POOL)
    bad = ("patch", "ippool", "pool-1", "-p")
    assert "hit error: error with field IPPool.spec.ipipMode" in await ctl.refuses(
        *bad, '{"spec":{"ipipMode":"Sometimes"}}'
    )
    assert "cannot be modified" in await ctl.refuses(*bad, '{"spec":{"cidr":"10.244.9.0/24"}}')
    assert "hit error: the patch is not JSON" in await ctl.refuses(*bad, "spec: {}")
    assert "a JSON object" in await ctl.refuses(*bad, "[]")
    assert "unknown directive" in await ctl.refuses(*bad, '{"spec":{"$patch":"upend"}}')
    assert await ctl.refuses("patch", "ippool", "nope", "-p", "{}") == (
        "hit error: resource does not exist: IPPool(nope) with error: <nil>"
    )
    await ctl.does(*bad, '{"metadata":{"name":"other","uid":"x"}}')
    assert await stored(ctl, "other") is None


async def test_labels_are_set_kept_overwritten_and_removed(ctl):
    await ctl.does("create", "-f", "-", stdin=PEER)
    label = ("label", "bgppeers", "tor")
    assert await ctl.does(*label, "rack=1") == "Successfully set label rack on bgppeers tor\n"
    assert await ctl.does(*label, "rack=1") == "Successfully updated label rack on bgppeers tor\n"
    assert await ctl.refuses(*label, "rack=2") == (
        "failed to update label of bgppeers tor, key rack is already present. "
        "please use '--overwrite' to set a new value."
    )
    assert (
        await ctl.does(*label, "rack=2", "--overwrite") == "Successfully updated label rack on bgppeers tor\n"
    )
    assert (await datastore.get(ctl.store, BGPPeer, "tor")).labels == {"rack": "2"}
    assert await ctl.does(*label, "rack", "--remove") == "Successfully removed label rack from bgppeers tor\n"
    assert await ctl.refuses(*label, "rack", "--remove") == (
        "cannot remove label of bgppeers tor, key rack does not exist"
    )
    assert (await datastore.get(ctl.store, BGPPeer, "tor")).labels == {}
    assert await ctl.refuses(*label, "rack") == "invalid label rack"
    for bad in ("a b=c", "rack=a=b"):
        assert (await ctl.refuses(*label, bad)).startswith(f"invalid label {bad}: ")


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ('{"op": "add"}', "a patch of type json is a list of operations"),
        ("[1]", "operation 1 of the JSON patch, 1: Operation must be an object"),
        (
            '[{"op": "add", "path": "/spec/disabled", "value": true}, {"op": "remove", "path": "/spec/a/b"}]',
            'operation 2 of the JSON patch, {"op": "remove", "path": "/spec/a/b"}: there is no such place',
        ),
        (
            '[{"op": "test", "path": "/spec/cidr", "value": "x"}]',
            'operation 1 of the JSON patch, {"op": "test", "path": "/spec/cidr", "value": "x"}: '
            "the value is another one",
        ),
        ('[{"op": "replace", "path": "", "value": 5}]', "the patch leaves no resource"),
        ('[{"op": "replace", "path": "/metadata", "value": 5}]', "the patch leaves no resource"),
    ],
)
async def test_a_json_patch_that_does_not_fit_says_which_operation_and_why(ctl, patch, said):
    await ctl.does("create", "-f", "-", stdin=POOL)
    before = await stored(ctl)
    answer = await ctl.refuses("patch", "ippool", "pool-1", "-t", "json", "-p", patch)
    assert answer.startswith(f"hit error: {said}")
    assert await stored(ctl) == before


@pytest.mark.parametrize("type_", ["merge", "strategic"])
async def test_a_patch_that_takes_the_metadata_away_is_refused(ctl, type_):
    await ctl.does("create", "-f", "-", stdin=POOL)
    said = await ctl.refuses("patch", "ippool", "pool-1", "-t", type_, "-p", '{"metadata": 5}')
    assert said == "hit error: the patch leaves no resource: metadata must be an object"


async def test_a_label_needs_a_resource_that_is_there(ctl):
    assert await ctl.refuses("label", "ippool", "pool-9", "a=b") == "ippool pool-9 not found"
    assert await ctl.refuses("label", "pods", "pod-1", "a=b") == (
        "failed to get pods pod-1, error resource type 'pods' is not supported"
    )
