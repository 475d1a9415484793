from hypothesis import given, settings
from support.netstates import NAMESPACES, at_once, states_with_ipip

from fabric.kernel.fake import FakeHost, FakeKernel
from fabric.netstate.objects import NetObject, NetState, Setting
from fabric.netstate.plan import additions, diff, matches

NOTHING: NetState = frozenset()


def host_with(state: NetState) -> FakeHost:
    host = FakeKernel(*NAMESPACES).host("node-1")
    at_once(host.apply(diff(state, NOTHING)))
    return host


def known(host: FakeHost, *states: NetState) -> NetState:
    """Return what of these states is there; what the fake keeps for itself is left out."""
    keys = {obj.key for state in states for obj in state}
    return frozenset(obj for obj in (*host.state, *host.settings) if obj.key in keys)


def without_settings(state: NetState) -> set[NetObject]:
    return {obj for obj in state if not isinstance(obj, Setting)}


@settings(max_examples=200, deadline=None)
@given(states_with_ipip, states_with_ipip)
def test_one_plan_leads_from_any_state_to_any_other_and_linux_takes_its_order(desired, actual):
    host = host_with(actual)
    at_once(host.apply(diff(desired, known(host, desired, actual))))
    assert str(diff(desired, known(host, desired, actual))) == ""


@settings(deadline=None)
@given(states_with_ipip)
def test_what_is_as_it_should_be_gives_an_empty_plan(state):
    assert not diff(state, state)
    assert not diff(state, known(host_with(state), state))


@settings(deadline=None)
@given(states_with_ipip)
def test_nothing_desired_leaves_nothing(state):
    host = host_with(state)
    at_once(host.apply(diff(NOTHING, known(host, state))))
    assert without_settings(known(host, state)) == set()


@settings(deadline=None)
@given(states_with_ipip, states_with_ipip)
def test_a_plan_touches_a_key_twice_only_to_make_it_anew(desired, actual):
    steps = diff(desired, actual).steps
    for step in steps:
        verbs = [other.verb for other in steps if other.obj.key == step.obj.key]
        assert verbs in (["add"], ["replace"], ["delete"], ["delete", "add"])


@settings(deadline=None)
@given(states_with_ipip)
def test_an_object_matches_itself_and_its_text_says_all_of_it(state):
    for obj in state:
        assert matches(obj, obj)
    assert len({str(obj) for obj in state}) == len(state)


@settings(deadline=None)
@given(states_with_ipip)
def test_what_is_added_where_nothing_is_is_the_difference_to_nothing(state):
    assert additions(state) == diff(state, NOTHING)
