"""Calico's published schemas judge what no dataclass reads, for calicoctl and for kubectl."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from calico.resources import crds, felix
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.felix import FelixConfiguration
from calico.resources.refusals import InvalidResource
from calico.resources.table import RESOURCE_TYPES

KINDS = ("BGPConfiguration", "BGPPeer", "FelixConfiguration", "IPPool", "IPReservation")
ALSO_NUMBERS_IN_DOTS = {"asNumber", "localASNumber"}
OF_LATER_VERSIONS = {"programClusterRoutes"}
FILLED_IN = {
    "bpfConnectTimeLoadBalancing": "TCP",
    "bpfHostNetworkedNATWithoutCTLB": "Enabled",
    "floatingIPs": "Disabled",
}


def felix_of(**spec):
    return {"kind": "FelixConfiguration", "metadata": {"name": "default"}, "spec": spec}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_dataclass_reads_is_a_field_of_the_published_schema_and_has_its_type(kind):
    published = crds.fields_of(kind)
    for attribute in fields(RESOURCE_TYPES[kind].SPEC):
        name = attribute.metadata.get("json")
        if name and name not in ALSO_NUMBERS_IN_DOTS | OF_LATER_VERSIONS:
            schema = attribute.metadata["reader"].schema
            assert schema.get("type") == published[name].get("type"), name
            assert set(schema.get("enum", ())) == set(published[name].get("enum", ())), name
            if crds.words_of(pattern := published[name].get("pattern", "")):
                assert schema["pattern"] == crds.portable(pattern), name
            assert schema.get("minimum", 0) >= published[name].get("minimum", 0), name


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"bpfEnabled": "yes"}, "spec.bpfEnabled = 'yes' (must be of type boolean)"),
        ({"healthPort": "9099"}, "spec.healthPort = '9099' (must be of type integer)"),
        (
            {"iptablesFilterDenyAction": "Deny"},
            "spec.iptablesFilterDenyAction = 'Deny' (must be one of: Drop",
        ),
        ({"bpfAttachType": "tc"}, "spec.bpfAttachType = 'tc' (must be one of: TC, TCX)"),
        ({"reportingInterval": "5 s"}, "spec.reportingInterval = '5 s' (must be a duration such as"),
        ({"logActionRateLimitBurst": 10_000}, "spec.logActionRateLimitBurst = '10000' ("),
        (
            {"failsafeInboundHostPorts": [{"port": "ssh"}]},
            "spec.failsafeInboundHostPorts[0].port = 'ssh' (",
        ),
        (
            {"failsafeInboundHostPorts": [{"prot": "tcp", "port": 1}]},
            "spec.failsafeInboundHostPorts[0].protocol = '' (must be specified)",
        ),
        ({"routeTableRange": {"min": 1}}, "spec.routeTableRange = "),
        ({"chainInsertMode": "Top"}, "spec.chainInsertMode = 'Top' (must be one of: Insert, Append)"),
        (
            {"kubeNodePortRanges": [None]},
            "spec.kubeNodePortRanges[0] = '' (must be of type ",
        ),
        ({"bpfEnable": True}, "spec.bpfEnable = 'true' (unknown field; did you mean bpfEnabled?)"),
    ],
)
def test_a_value_that_calico_does_not_take_is_refused_at_its_path(spec, message):
    with pytest.raises(InvalidResource, match=re.escape(message)):
        FelixConfiguration.from_manifest(felix_of(**spec))


@pytest.mark.parametrize(
    "spec",
    [
        {"chainInsertMode": "append", "logSeverityScreen": "DEBUG", "defaultEndpointToHostAction": ""},
        {"iptablesFilterDenyAction": "reject", "bpfLogLevel": "off", "serviceLoopPrevention": "DISABLED"},
        {"failsafeInboundHostPorts": [{"protocol": "tcp", "port": 22, "net": "10.0.0.0/8"}]},
        {"kubeNodePortRanges": [30000, "30000:32767"], "natPortRange": 1024},
        {"bpfConntrackTimeouts": {"tcpEstablished": "Auto", "udpTimeout": "90s"}, "bpfEnabled": None},
    ],
)
def test_a_value_that_calico_takes_is_kept_as_it_is_written(spec):
    kept = FelixConfiguration.from_manifest(felix_of(**spec)).to_object()["spec"]
    assert kept == FILLED_IN | {name: value for name, value in spec.items() if value not in (None, "")}


def test_words_in_any_case_mean_the_same():
    written = FelixConfiguration.from_manifest(felix_of(chainInsertMode="APPEND", logSeverityScreen="debug"))
    found = felix.effective(written)
    assert (found.chain_insert_mode, found.log_severity_screen) == ("Append", "Debug")
    assert found.default_endpoint_to_host_action == "Accept"


def test_what_was_stored_before_a_field_was_judged_can_be_changed_elsewhere():
    stored = felix_of(bpfAttachType="tc")
    changed = felix_of(bpfAttachType="tc", vxlanMTU=1400)
    assert FelixConfiguration.from_manifest(changed, stored).to_object()["spec"]["vxlanMTU"] == 1400
    with pytest.raises(InvalidResource, match="bpfAttachType"):
        FelixConfiguration.from_manifest(felix_of(bpfAttachType="tcy"), stored)


@pytest.mark.parametrize("field", [{"nodeMeshPassword": {}}, {"nodeMeshMaxRestartTime": "90s"}])
def test_what_the_mesh_is_told_needs_a_mesh(field):
    spec = {"nodeToNodeMeshEnabled": False} | field
    with pytest.raises(InvalidResource, match=r"cannot be set if spec.NodeToNodeMesh is disabled"):
        BGPConfiguration.from_manifest({"metadata": {"name": "default"}, "spec": spec})


@pytest.mark.parametrize("kind", KINDS)
def test_every_schema_can_be_judged_by(kind):
    for name, schema in crds.fields_of(kind).items():
        taken = schema.get("type") == "array"
        assert bool(list(crds.refusals(name, schema, []))) is not taken, name


def test_the_data_says_where_it_comes_from():
    text = crds.DATA.read_text()
    assert '"license": "Apache-2.0"' in text and "v3.31" in text and "description" not in text
