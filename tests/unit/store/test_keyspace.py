"""Keys in the order of their bytes, whatever characters they have, held to a sorted list."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from fabric.store.keyspace import LAST_CHARACTER, Keyspace, bounds
from fabric.store.port import KeyValue

LAST = chr(LAST_CHARACTER)
characters = st.sampled_from(["/", "a", "b", "é", "\uffff", "\U00010000", LAST])
keys = st.text(characters, min_size=1, max_size=4)
prefixes = st.text(characters, max_size=3)


def value(key: str) -> KeyValue:
    return KeyValue(key, b"v", 1, 1, 1, 0)


def by_bytes(found: set[str]) -> list[str]:
    return sorted(found, key=str.encode)


@given(st.sets(keys, max_size=12), prefixes, st.just("") | keys, st.integers(0, 5))
@example({f"{LAST}{LAST}", f"{LAST}a", "a"}, LAST, "", 0)
@example({"\U00010000", "\uffff"}, "", "\uffff", 1)
def test_a_page_is_what_a_sorted_list_has_there(found, prefix, after, limit):
    space = Keyspace(map(value, found))
    wanted = [key for key in by_bytes(found) if key.startswith(prefix) and key.encode() > after.encode()]
    page, more, count = space.page(prefix, after, limit)
    assert [kv.key for kv in page] == (wanted[:limit] if limit else wanted)
    assert (more, count) == (bool(limit) and len(wanted) > limit, len(wanted))
    assert [kv.key for kv in space.under(prefix, after)] == wanted
    assert space.count(prefix, after) == len(wanted)


@given(st.sets(keys, max_size=12), prefixes, st.integers(1, 3))
def test_pages_one_after_another_are_the_whole(found, prefix, limit):
    space, read, after = Keyspace(map(value, found)), [], ""
    while True:
        page, more, _ = space.page(prefix, after, limit)
        read += [kv.key for kv in page]
        if not more:
            break
        after = read[-1]
    assert read == [key for key in by_bytes(found) if key.startswith(prefix)]


@given(st.lists(st.tuples(st.booleans(), keys), max_size=20))
def test_keys_come_and_go_as_in_a_dictionary(changes):
    space, model = Keyspace(), {}
    for number, (is_put, key) in enumerate(changes):
        if is_put:
            model[key] = KeyValue(key, b"v", 1, number, 1, 0)
            space.put(model[key])
        elif key in model:
            del model[key]
            space.remove(key)
        assert len(space) == len(model) and space.get(key) == model.get(key)
    assert [kv.key for kv in space.under("")] == by_bytes(set(model))


@given(st.sets(keys), prefixes)
def test_bounds_are_a_part_of_the_sequence_even_where_nothing_fits(found, prefix):
    ordered = by_bytes(found)
    start, end = bounds(ordered, prefix, LAST * 5)
    assert 0 <= start <= end <= len(ordered) and start == end
