"""No field of FelixConfiguration is taken and silently ignored."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path

import pytest

import calico
from calico.resources import crds
from calico.resources.felix import FelixConfiguration, FelixConfigurationSpec
from calico.resources.without_effect import TABLE, warnings

PLUGIN = Path(calico.__file__).parent
NAMES = {it.metadata["json"]: it.name for it in fields(FelixConfigurationSpec) if "json" in it.metadata}


def attributes_read():
    """The attributes that some module reads, but for the one that defines them."""
    sources = [path for path in PLUGIN.rglob("*.py") if path.parent.name != "resources"]
    trees = (ast.parse(path.read_text()) for path in sources)
    return {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_every_field_is_read_or_in_the_table_and_none_is_both():
    read = {name for name, attribute in NAMES.items() if attribute in attributes_read()}
    known = NAMES.keys() | crds.fields_of("FelixConfiguration").keys()
    shared = {"logSeverityScreen"}  # BGPConfiguration has one too, which is read.
    assert read - shared | TABLE.keys() == known
    assert not (read - shared) & TABLE.keys()


def told(**spec):
    return list(warnings(FelixConfiguration.from_object({"metadata": {"name": "default"}, "spec": spec})))


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"bpfEnabled": True}, "spec.bpfEnabled: it changes nothing: there is no eBPF data plane"),
        ({"logPrefix": "x"}, "spec.logPrefix: it changes nothing: policies are not enforced yet"),
        ({"healthPort": 9099}, "spec.healthPort: it changes nothing: fabric's Felix has nothing that"),
        ({"floatingIPs": "Enabled"}, "spec.floatingIPs: it changes nothing: floating IPs"),
        ({"routeSource": "WorkloadIPs"}, "spec.routeSource: it changes nothing: routes follow the blocks"),
    ],
)
def test_a_field_without_effect_is_told(spec, text):
    (said,) = told(**spec)
    assert said.startswith(text)


def test_what_calico_itself_writes_and_what_works_is_not_told():
    default = {
        "bpfConnectTimeLoadBalancing": "TCP",
        "bpfHostNetworkedNATWithoutCTLB": "Enabled",
        "floatingIPs": "Disabled",
        "logSeverityScreen": "Info",
        "reportingInterval": "0s",
    }
    assert (
        told(**default, bpfEnabled=False, vxlanMTU=1400, natPortRange="1:2", chainInsertMode="Append") == []
    )
