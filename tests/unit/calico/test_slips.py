"""What a user writes is judged more strictly than the store: no key and no name that Calico has not."""

from __future__ import annotations

import re

import pytest

from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_peers import BGPPeer
from calico.resources.envelope import API_VERSION
from calico.resources.felix import FelixConfiguration
from calico.resources.refusals import InvalidResource
from calico.resources.table import RESOURCE_TYPES


def obj(kind, name="default", **spec):
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize(
    ("given", "path", "words"),
    [
        (obj("BGPConfiguration", nodeToNodeMeshEnable=False), "spec.nodeToNodeMeshEnable", "MeshEnabled?"),
        (obj("BGPPeer", "tor", peerSelector="all()", nodeSelectr="a"), "spec.nodeSelectr", "nodeSelector?"),
        (obj("FelixConfiguration", wireguardEnable=True), "spec.wireguardEnable", "mean wireguardEnabled?"),
        (obj("Node", "node-1", bpg={}), "spec.bpg", "did you mean bgp?"),
        (obj("BGPFilter", "f") | {"specc": {}}, "specc", "did you mean spec?"),
        (
            {"metadata": {"name": "f", "foo": 1}, "spec": {}},
            "metadata.foo",
            "unknown field (allowed: annotations, ",
        ),
        (obj("IPReservation", "A_b"), "metadata.name", "lowercase RFC 1123 subdomain"),
        (obj("BGPFilter", "a..b"), "metadata.name", "lowercase RFC 1123 subdomain"),
    ],
)
def test_what_a_user_writes_has_no_key_and_no_name_that_calico_has_not(given, path, words):
    resource_type = RESOURCE_TYPES[given.get("kind", "BGPFilter")]
    with pytest.raises(InvalidResource) as raised:
        resource_type.from_manifest(given)
    ((where, what),) = [(it.path, it.reason) for it in raised.value.refusals]
    assert where == path and words in what


def test_slips_are_told_together_with_what_else_is_wrong():
    with pytest.raises(InvalidResource) as raised:
        BGPPeer.from_manifest(obj("BGPPeer", "To_r", peerIP="192.0.2.1", asn=1))
    assert [it.path for it in raised.value.refusals] == ["spec.asNumber", "metadata.name", "spec.asn"]


def test_fields_of_calico_that_fabric_has_no_use_for_are_carried():
    given = obj(
        "FelixConfiguration", bpfEnabled=True, prometheusMetricsPort=9091, healthPort=1, wireguardMTU=1440
    )
    given["metadata"] |= {"generation": 3, "ownerReferences": [], "creationTimestamp": "2026-01-01T12:00:00Z"}
    kept = FelixConfiguration.from_manifest(given).to_object()
    assert kept == given | {"spec": kept["spec"]} and kept["spec"].items() >= given["spec"].items()
    peer = obj("BGPPeer", "tor", asNumber=1, sourceAddress="None", localWorkloadSelector="all()")
    assert BGPPeer.from_manifest(peer).to_object() == peer


def test_what_a_newer_calico_wrote_stays_readable_and_changeable():
    stored = obj("BGPConfiguration", listenPort=179, ofTomorrow=True)
    assert BGPConfiguration.from_object(stored).to_object() == stored
    changed = obj("BGPConfiguration", listenPort=180, ofTomorrow=True)
    assert BGPConfiguration.from_manifest(changed, stored).to_object() == changed
    with pytest.raises(InvalidResource, match=r"spec\.ofToday"):
        BGPConfiguration.from_manifest(obj("BGPConfiguration", ofTomorrow=True, ofToday=True), stored)


def test_a_value_is_shown_as_json_has_it():
    with pytest.raises(InvalidResource, match=re.escape("""specc = '{"on": true}' (unknown field""")):
        BGPConfiguration.from_manifest(obj("BGPConfiguration") | {"specc": {"on": True}})
