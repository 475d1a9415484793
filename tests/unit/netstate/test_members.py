from hypothesis import given
from hypothesis import strategies as st

from fabric.netstate.members import Members, difference
from fabric.netstate.objects import IpSet

NAMES = st.frozensets(st.sampled_from("abcdefgh"))


@given(NAMES, st.lists(st.tuples(NAMES, NAMES, st.booleans()), max_size=8))
def test_every_version_is_the_set_that_its_changes_make(first, changes):
    versions = [(Members(first), first)]
    for come, go, from_the_first in changes:
        members, plain = versions[0 if from_the_first else -1]
        versions.append((members.changed(come, go), (plain - go) | come))
    for members, plain in versions:
        assert members == plain
        assert plain == members
        assert len(members) == len(plain)
        assert hash(members) == hash(plain)
        for other, other_plain in versions:
            assert (members == other) == (plain == other_plain)
            assert difference(members, other) == (plain - other_plain, other_plain - plain)
            assert difference(members, other_plain) == (plain - other_plain, other_plain - plain)
            assert difference(plain, other) == (plain - other_plain, other_plain - plain)


def test_a_long_history_is_begun_anew():
    members = Members(["a"])
    for number in range(3000):
        members = members.changed([f"b{number}"], [f"b{number - 1}"])
    assert members == {"a", "b2999"}
    assert len(members._history.log) < 2100


def test_a_set_and_its_next_version_are_two_sets():
    small = IpSet("s", members=frozenset({"10.0.0.1"}))
    large = small.changed(["10.0.0.2"])
    assert small != large
    assert large == IpSet("s", members=frozenset({"10.0.0.1", "10.0.0.2"}))
    assert large.changed((), ["10.0.0.2"]) == small
    assert len({large, IpSet("s", members=frozenset({"10.0.0.1", "10.0.0.2"}))}) == 1
