"""No field of Calico's resources is taken and silently ignored."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

import calico
from calico.resources import bgp_configuration, bgp_filters, carried, crds, nodes
from calico.resources.table import RESOURCE_TYPES
from calico.resources.without_effect import TABLES, warnings

PLUGIN = Path(calico.__file__).parent
FIDELITY = PLUGIN.parents[1] / "docs/fidelity.md"
KINDS = ("FelixConfiguration", "BGPConfiguration", "BGPPeer", "BGPFilter", "IPPool", "IPReservation", "Node")
ELSEWHERE_TOO = {
    "logSeverityScreen": "BGPConfiguration's is read, FelixConfiguration's is not",
    "programClusterRoutes": "FelixConfiguration's is read, BGPConfiguration's is not",
}
CALICO_READS_NO_MORE = {"orchestrator", "nodeName"}
"""The parts of an OrchRef, which calico-node writes for tools."""


def attributes_read() -> set[str]:
    """The attributes that some module reads, but for those that define them."""
    sources = [path for path in PLUGIN.rglob("*.py") if path.parent.name != "resources"]
    trees = (ast.parse(path.read_text()) for path in sources)
    return {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def names_of(cls: type) -> dict[str, str]:
    """The attribute of each field by its name in JSON."""
    return {it.metadata["json"]: it.name for it in fields(cls) if "json" in it.metadata}


def nested_dataclasses() -> Iterator[type]:
    for module in (bgp_configuration, bgp_filters, nodes):
        for cls in vars(module).values():
            if is_dataclass(cls) and isinstance(cls, type) and cls.__module__ == module.__name__:
                yield cls


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_the_published_schema_is_read_or_in_the_table_and_none_is_both(kind):
    names, seen = names_of(RESOURCE_TYPES[kind].SPEC), attributes_read()
    read = {name for name, attribute in names.items() if attribute in seen}
    table = TABLES.get(kind, {}).keys()
    carried_too = carried.NODE.keys() if kind == "Node" else set()
    assert read | table == names.keys() | crds.fields_of(kind).keys() | carried_too
    assert read & table <= ELSEWHERE_TOO.keys()


def test_every_field_of_a_part_of_a_resource_is_read():
    seen = attributes_read()
    unread = {name for cls in nested_dataclasses() for name, it in names_of(cls).items() if it not in seen}
    assert unread == CALICO_READS_NO_MORE


def test_the_page_on_fidelity_lists_the_table():
    listed = {kind: dict[str, str]() for kind in TABLES}
    for kind, names, reason in re.findall(r"^\| (\w+) \| (`.*`) \| (.*) \|$", FIDELITY.read_text(), re.M):
        if kind in TABLES:
            listed[kind] |= dict.fromkeys(re.findall(r"`([^`]*)`", names), reason)
    for kind, table in TABLES.items():
        prefixes = {name[:-1]: why for name, why in listed[kind].items() if name.endswith("…")}
        for name, reason in table.items():
            by_prefix = (why for prefix, why in prefixes.items() if name.startswith(prefix))
            assert listed[kind].get(name) or next(by_prefix, None) == reason, (kind, name)
        gone = {name for name in listed[kind] if not name.endswith("…")} - table.keys()
        assert not gone, kind


def told(kind: str = "FelixConfiguration", **spec):
    return list(warnings(RESOURCE_TYPES[kind].from_object({"metadata": {"name": "default"}, "spec": spec})))


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"bpfEnabled": True}, "spec.bpfEnabled: it changes nothing: there is no eBPF data plane"),
        ({"logActionRateLimit": "1/sec"}, "spec.logActionRateLimit: it changes nothing: the rate of logged"),
        ({"healthPort": 9099}, "spec.healthPort: it changes nothing: fabric's Felix has nothing that"),
        ({"floatingIPs": "Enabled"}, "spec.floatingIPs: it changes nothing: floating IPs"),
        ({"routeTableRange": {"min": 1, "max": 250}}, "spec.routeTableRange: it changes nothing: fabric's"),
        (
            {"interfaceRefreshInterval": "30s"},
            "spec.interfaceRefreshInterval: it changes nothing: the kernel",
        ),
    ],
)
def test_a_field_of_felix_without_effect_is_told(spec, text):
    (said,) = told(**spec)
    assert said.startswith(text)


@pytest.mark.parametrize(
    ("kind", "spec", "text"),
    [
        ("BGPConfiguration", {"ipv4NormalRoutePriority": 100}, "spec.ipv4NormalRoutePriority: it changes"),
        (
            "BGPConfiguration",
            {"serviceLoadBalancerAggregation": "Disabled"},
            "spec.serviceLoadBalancerAggreg",
        ),
        ("BGPConfiguration", {"programClusterRoutes": "Enabled"}, "spec.programClusterRoutes: it changes"),
        ("BGPPeer", {"asNumber": 1, "localWorkloadSelector": "all()"}, "spec.localWorkloadSelector: it"),
        ("Node", {"wireguard": {"interfaceIPv4Address": "10.0.0.1"}}, "spec.wireguard: it changes nothing"),
    ],
)
def test_a_field_of_another_kind_without_effect_is_told(kind, spec, text):
    (said,) = told(kind, **spec)
    assert said.startswith(text)


def test_what_calico_itself_writes_and_what_works_is_not_told():
    default = {
        "bpfConnectTimeLoadBalancing": "TCP",
        "bpfHostNetworkedNATWithoutCTLB": "Enabled",
        "floatingIPs": "Disabled",
        "logSeverityScreen": "Info",
        "reportingInterval": "0s",
        "iptablesRefreshInterval": "180s",
        "defaultEndpointToHostAction": "Drop",
    }
    assert (
        told(**default, bpfEnabled=False, vxlanMTU=1400, natPortRange="1:2", chainInsertMode="Append") == []
    )
    assert told("BGPConfiguration", asNumber=65001, serviceLoadBalancerAggregation="Enabled") == []
