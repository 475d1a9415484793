"""The parts of a node's chains and sets: after any changes as if rendered anew, by what changed alone."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from support.calculations import drop, endpoint_of, key_of, things

from calico.calc.calculator import Calculator
from calico.calc.feed import put
from calico.calc.objects import Endpoint
from calico.felix.options import RuleOptions
from calico.felix.policy_state import PolicySite, PolicyState
from calico.resources.felix import DEFAULTS

SITE = PolicySite(RuleOptions(DEFAULTS, ("cali",)), (4, 6), "eth0", frozenset())
DEVICES = ("", "cali", "cali1", "cali12", "cali2", "cali21", "cali22", "cali3", "azv1")
"""Names that differ early and late, and some that others begin with."""


def parts(calculator: Calculator, state: PolicyState):
    calculator.flush()
    return dict(state.parts(SITE))


def rendered(here):
    calculator = Calculator()
    state = PolicyState(calculator, "node-1")
    for thing in here:
        put(calculator, thing)
    return parts(calculator, state)


@given(st.lists(st.tuples(things, st.sampled_from(DEVICES), st.booleans(), st.booleans()), max_size=30))
def test_after_any_changes_the_parts_are_as_if_rendered_anew(changes):
    calculator = Calculator()
    state = PolicyState(calculator, "node-1")
    here = {}
    for thing, device, goes, is_rendered in changes:
        if goes:
            here.pop(key_of(thing), None)
            drop(calculator, key_of(thing))
        else:
            its = replace(thing, interface=device) if isinstance(thing, Endpoint) else thing
            here[key_of(thing)] = its
            put(calculator, its)
        if is_rendered:
            parts(calculator, state)
    assert parts(calculator, state) == rendered(here.values())


@given(st.lists(st.sets(st.sampled_from(DEVICES)), min_size=2, max_size=4))
def test_whatever_devices_come_and_go_the_parts_are_as_if_rendered_anew(turns):
    calculator = Calculator()
    state = PolicyState(calculator, "node-1")
    before = {}
    for devices in turns:
        now = {key_of(it): it for it in (endpoint_of(f"on-{name}", interface=name) for name in devices)}
        for key in before.keys() - now.keys():
            drop(calculator, key)
        for it in now.values():
            put(calculator, it)
        assert parts(calculator, state) == rendered(now.values())
        before = now


def test_a_new_device_changes_the_dispatch_of_its_character_alone():
    devices = ("cali11", "cali12", "cali21", "cali22")
    calculator = Calculator()
    state = PolicyState(calculator, "node-1")
    for device in devices:
        put(calculator, endpoint_of(device, interface=device))
    before = parts(calculator, state)
    put(calculator, endpoint_of("pod-1", interface="cali13"))
    after = parts(calculator, state)
    changed = {part for part in after if after[part] is not before.get(part)}
    assert changed == {"dispatch:1", "endpoint:WorkloadEndpoint/default/pod-1"}
    put(calculator, endpoint_of("pod-2", interface="cali3"))
    changed = {part for part, its in parts(calculator, state).items() if its is not after.get(part)}
    assert changed == {"dispatch:", "endpoint:WorkloadEndpoint/default/pod-2"}
