"""The fields of FelixConfiguration that policies' chains follow, each seen in the rules that it changes."""

from __future__ import annotations

import pytest
from support.policy_worlds import calico

from calico.calc import reading
from calico.calc.calculator import Calculator
from calico.calc.feed import put
from calico.calc.objects import Endpoint, EndpointId
from calico.felix.options import RuleOptions
from calico.felix.policy_state import PolicySite, PolicyState
from calico.resources.felix import FelixConfiguration, effective
from calico.resources.table import RESOURCE_TYPES
from calico.resources.tiers import own_tiers
from fabric.netstate.objects import Chain, Jump

DEVICE = "cali0123456789a"
RULES = [{"action": "Log"}, {"action": "Deny"}]
OBJECTS = (
    calico("GlobalNetworkPolicy", "one", selector="all()", types=["Ingress"], ingress=RULES),
    calico("HostEndpoint", "host", node="node-1", interfaceName="eth0"),
    calico(
        "GlobalNetworkPolicy",
        "before",
        selector="all()",
        types=["Ingress"],
        preDNAT=True,
        applyOnForward=True,
        ingress=[{"action": "Allow"}],
    ),
)
TO_POD, INPUT, FORWARD = ("filter", f"cali-tw-{DEVICE}"), ("filter", "cali-INPUT"), ("filter", "cali-FORWARD")
POLICY = ("filter", "cali-pi-gnp/one")


class Node:
    """What is on a node with one pod, a policy for it and a host endpoint, by settings."""

    def __init__(self, **spec) -> None:
        given = FelixConfiguration.from_object({"metadata": {"name": "default"}, "spec": spec})
        felix = effective(given)
        calculator = Calculator()
        state = PolicyState(calculator, "node-1")
        for tier in own_tiers():
            put(calculator, reading.thing(tier))
        for obj in OBJECTS:
            put(calculator, reading.thing(RESOURCE_TYPES[obj["kind"]].from_object(obj)))
        pod = EndpointId("WorkloadEndpoint", "default", "pod-1")
        put(calculator, Endpoint(pod, {}, (), (), (), "node-1", DEVICE))
        calculator.flush()
        options = RuleOptions(felix, tuple((felix.interface_prefix or "").split(",")))
        parts = state.parts(PolicySite(options, (4,), "eth0", frozenset()))
        objects = [it for part in parts.values() for it in part]
        self.chains = {(it.table, it.name): it for it in objects if isinstance(it, Chain)}
        self.jumps = [it for it in objects if isinstance(it, Jump)]

    def text(self, *place: str) -> str:
        """The rules of a chain, without the hashes in their comments."""
        return "\n".join(map(str, self.chains[place].rules))


@pytest.mark.parametrize(
    ("spec", "place", "before", "after"),
    [
        ({"iptablesFilterAllowAction": "Return"}, INPUT, "-j ACCEPT", "-j RETURN"),
        ({"iptablesFilterAllowAction": "return"}, TO_POD, "ESTABLISHED -j ACCEPT", "ESTABLISHED -j RETURN"),
        ({"iptablesMangleAllowAction": "Return"}, ("mangle", "cali-PREROUTING"), "-j ACCEPT", "-j RETURN"),
        ({"iptablesFilterDenyAction": "Reject"}, POLICY, "-j DROP", "-j REJECT"),
        ({"iptablesFilterDenyAction": "Reject"}, TO_POD, "-j DROP", "-j REJECT"),
        ({"iptablesFilterDenyAction": "Reject"}, ("filter", "cali-to-wl-dispatch"), "-j DROP", "-j REJECT"),
        ({"logPrefix": "told %k %n"}, POLICY, '"calico-packet: "', '"told gnp one: "'),
        ({"disableConntrackInvalidCheck": True}, TO_POD, "--ctstate INVALID", ""),
        (
            {"defaultEndpointToHostAction": "Drop"},
            ("filter", "cali-wl-to-host"),
            "-j ACCEPT",
            "-j DROP",
        ),
        ({"defaultEndpointToHostAction": "RETURN"}, ("filter", "cali-wl-to-host"), "-j ACCEPT", ""),
        ({"iptablesMarkMask": 0xFF000000}, POLICY, "0x40000/0x40000", "0x4000000/0x4000000"),
        ({"interfacePrefix": "cali,azv"}, FORWARD, "", "-i azv+"),
        ({"interfacePrefix": "azv"}, FORWARD, "-i cali+", "-i azv+"),
        (
            {"failsafeInboundHostPorts": [{"protocol": "tcp", "port": 2222, "net": "192.0.2.0/24"}]},
            ("filter", "cali-failsafe-in"),
            "--dports 22 ",
            "--dports 2222",
        ),
        ({"failsafeOutboundHostPorts": []}, ("mangle", "cali-failsafe-out"), "--dports 6443", ""),
        (
            {"failsafeOutboundHostPorts": [{"protocol": "udp", "port": 5353}]},
            ("raw", "cali-failsafe-in"),
            "--sports 6443",
            "--sports 5353",
        ),
        ({"allowVXLANPacketsFromWorkloads": True}, ("filter", f"cali-fw-{DEVICE}"), "VXLAN encapped", ""),
        ({"vxlanPort": 8472}, ("filter", f"cali-fw-{DEVICE}"), "--dports 4789", "--dports 8472"),
        ({"allowIPIPPacketsFromWorkloads": True}, ("filter", f"cali-fw-{DEVICE}"), "IPinIP encapped", ""),
    ],
)
def test_a_setting_changes_the_rules_that_it_is_for(spec, place, before, after):
    usual, changed = Node().text(*place), Node(**spec).text(*place)
    assert (before in usual, after in changed) == (True, True), (usual, changed)
    if before:
        assert before not in changed
    if after:
        assert after not in usual


def test_hooks_go_to_the_end_of_the_kernels_chains_where_the_settings_append_them():
    for mode, place in (("Insert", "insert"), ("Append", "append")):
        roots = [it for it in Node(chainInsertMode=mode).jumps if "-j cali-" in str(it)]
        assert len(roots) == 7
        assert {it.position for it in roots} == {place}
