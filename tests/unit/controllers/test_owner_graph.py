"""The graph of owners against a naive oracle that looks at all objects each time."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fabric.api.kinds import CONFIG_MAP, NODE, POD
from fabric.api.objects import Key
from fabric.controllers.gc_actions import (
    KEEP,
    Delete,
    LookUp,
    OrphanDependents,
    Release,
    Unfinalize,
    next_action,
)
from fabric.controllers.owner_graph import OwnerGraph, OwnerRef, Vertex, vertex_of

UIDS = "abcd"


def ref(uid, blocking=False):
    return OwnerRef(uid, "v1", "ConfigMap", uid, blocking)


def vertex(uid, *owners, state=""):
    return Vertex(
        uid,
        CONFIG_MAP,
        Key("default", uid),
        owners,
        deleting=bool(state),
        foreground=state == "foreground",
        orphaning=state == "orphan",
    )


def graph_of(*vertices):
    graph = OwnerGraph()
    for each in vertices:
        graph.put(each)
    return graph


def judge(graph, uid, absent=""):
    judged = graph.get(uid)
    return next_action(graph, judged, {ref(gone).coordinates(judged) for gone in absent})


def test_an_object_without_owners_is_kept():
    assert judge(graph_of(vertex("a")), "a") == KEEP


def test_an_object_with_a_living_owner_is_kept():
    assert judge(graph_of(vertex("a"), vertex("b", ref("a"))), "b") == KEEP


def test_an_owner_that_is_not_seen_is_asked_for_before_anything_is_done():
    graph = graph_of(vertex("b", ref("a")))
    assert judge(graph, "b") == LookUp((ref("a"),))
    assert judge(graph, "b", absent="a") == Delete("Background")


def test_an_owner_that_the_server_has_keeps_its_dependent():
    graph = graph_of(vertex("b", ref("a")))
    judged = graph.get("b")
    assert next_action(graph, judged, (), {ref("a").coordinates(judged)}) == KEEP


def test_one_living_owner_is_enough_and_the_dead_one_is_dropped():
    graph = graph_of(vertex("a"), vertex("c", ref("a"), ref("b")))
    assert judge(graph, "c", absent="b") == Release(frozenset("b"))


def test_a_name_that_is_used_again_is_another_owner():
    again = replace(vertex("a"), uid="a2")
    assert judge(graph_of(again, vertex("b", ref("a"))), "b") == LookUp((ref("a"),))


def test_an_owner_in_another_namespace_does_not_count():
    elsewhere = replace(vertex("a"), key=Key("kube-system", "a"))
    assert judge(graph_of(elsewhere, vertex("b", ref("a"))), "b") == LookUp((ref("a"),))


def test_an_owner_without_a_namespace_counts_everywhere():
    node = Vertex("n", NODE, Key("", "node-1"))
    owned = vertex("b", OwnerRef("n", "v1", "Node", "node-1"))
    assert judge(graph_of(node, owned), "b") == KEEP


def test_a_foreground_deletion_waits_for_blocking_dependents_only():
    owner = vertex("a", state="foreground")
    assert judge(graph_of(owner, vertex("b", ref("a", blocking=True))), "a") == KEEP
    assert judge(graph_of(owner, vertex("b", ref("a"))), "a") == Unfinalize("foregroundDeletion")


def test_dependents_of_a_foreground_deletion_are_deleted_the_same_way_down():
    graph = graph_of(
        vertex("a", state="foreground"), vertex("b", ref("a", True)), vertex("c", ref("b", True))
    )
    assert judge(graph, "b") == Delete("Foreground")
    assert judge(graph, "c") == KEEP


def test_a_circle_of_waiting_owners_is_broken():
    graph = graph_of(
        vertex("a", ref("b", True), state="foreground"), vertex("b", ref("a", True), state="foreground")
    )
    assert judge(graph, "a") == judge(graph, "b") == Unfinalize("foregroundDeletion")


def test_a_circle_that_closes_is_noticed_by_all_who_wait_in_it():
    circle = [
        vertex(uid, ref(owner, True), state="foreground") for uid, owner in zip("abcde", "eabcd", strict=True)
    ]
    *waiting, last = circle
    graph = graph_of(*waiting, replace(last, deleting=False, foreground=False))
    assert graph.put(last) == set("abcde")
    assert {judge(graph, uid) for uid in "abcde"} == {Unfinalize("foregroundDeletion")}


def test_an_orphan_maker_releases_its_dependents_first():
    graph = graph_of(vertex("a", state="orphan"), vertex("b", ref("a")))
    assert judge(graph, "a") == OrphanDependents(frozenset("b"))
    assert judge(graph, "b") == KEEP
    graph.put(vertex("b"))
    assert judge(graph, "a") == Unfinalize("orphan")


def test_a_vertex_is_read_from_an_object():
    pod = {
        "metadata": {
            "namespace": "default",
            "name": "pod-1",
            "uid": "u",
            "deletionTimestamp": "2026-01-01T12:00:00Z",
            "finalizers": ["foregroundDeletion"],
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "Node",
                    "name": "node-1",
                    "uid": "n",
                    "blockOwnerDeletion": True,
                }
            ],
        }
    }
    owner = OwnerRef("n", "v1", "Node", "node-1", blocking=True)
    assert vertex_of(POD, pod) == Vertex(
        "u", POD, Key("default", "pod-1"), (owner,), deleting=True, foreground=True
    )


# The same by brute force.


def naive_verdict(objects, uid):
    """The next_action with every owner that is not here known to be absent."""
    judged = objects[uid]
    dependents = {d.uid for d in objects.values() if any(r.uid == uid for r in d.owners)} - {uid}
    if judged.orphaning:
        return OrphanDependents(frozenset(dependents)) if dependents else Unfinalize("orphan")
    if judged.foreground:
        waits = naive_waits(objects)
        blockers = [d for d in waits.get(uid, ()) if uid not in reach(waits, d)]
        return KEEP if blockers else Unfinalize("foregroundDeletion")
    if judged.deleting or not judged.owners:
        return KEEP
    owners = {r.uid for r in judged.owners}
    solid = {o for o in owners if o in objects and not objects[o].foreground}
    if solid:
        return Release(frozenset(owners - solid)) if owners - solid else KEEP
    waiting = any(o in objects for o in owners)
    return Delete("Foreground" if waiting and dependents else "Background")


def naive_waits(objects):
    """For each object in foreground deletion, the dependents that block it."""
    return {
        owner.uid: {
            d.uid
            for d in objects.values()
            if d.uid != owner.uid and any(r.uid == owner.uid and r.blocking for r in d.owners)
        }
        for owner in objects.values()
        if owner.foreground
    }


def reach(waits, start):
    found, stack = set(), [start]
    while stack:
        for uid in waits.get(stack.pop(), ()):
            if uid not in found:
                found.add(uid)
                stack.append(uid)
    return found


vertices = st.builds(
    lambda uid, owners, state: vertex(
        uid, *(ref(o, blocking) for o, blocking in owners.items()), state=state
    ),
    st.sampled_from(UIDS),
    st.dictionaries(st.sampled_from(UIDS), st.sampled_from([True, True, False]), max_size=2),
    st.sampled_from(["foreground", "foreground", "", "background", "orphan"]),
)
changes = st.lists(st.one_of(vertices, st.sampled_from(UIDS)), max_size=25)


@given(changes)
def test_the_graph_judges_as_if_it_looked_at_everything(history):
    graph, objects = OwnerGraph(), {}
    for change in history:
        before = {uid: naive_verdict(objects, uid) for uid in objects}
        if isinstance(change, Vertex):
            touched = graph.put(change)
            objects[change.uid] = change
        else:
            touched = graph.remove(change)
            objects.pop(change, None)
        after = {uid: naive_verdict(objects, uid) for uid in objects}
        assert {uid: judge(graph, uid, absent=set(UIDS) - objects.keys()) for uid in objects} == after
        changed = {uid for uid in after if without_propagation(after[uid], before.get(uid))}
        assert changed <= touched


def without_propagation(now, before):
    """True when the next_action differs in more than how a deletion would be propagated."""
    return now != before and not (isinstance(now, Delete) and isinstance(before, Delete))


@given(st.lists(vertices), st.dictionaries(st.sampled_from(UIDS), st.booleans()), st.randoms())
def test_what_is_touched_is_enough_to_settle(living, deletions, random):
    """Deletions and verdicts in any order end where the greatest fixed point of ownership is."""
    objects = {v.uid: replace(v, deleting=False, foreground=False, orphaning=False) for v in living}
    graph = OwnerGraph()
    queue = {uid for v in objects.values() for uid in graph.put(v)}
    world = dict(objects)
    users = [uid for uid in deletions if uid in world]
    while queue or users:
        if users and random.random() < 0.5:
            uid = users.pop()
            if uid in world:
                queue |= delete(graph, world, uid, "Foreground" if deletions[uid] else "Background")
            continue
        if queue:
            uid = random.choice(sorted(queue))
            queue.discard(uid)
            queue |= carry_out(graph, world, uid)
    assert set(world) == survivors(objects, set(deletions))


def survivors(objects, deleted):
    alive = set(objects) - deleted
    while dead := {
        uid for uid in alive if objects[uid].owners and not any(r.uid in alive for r in objects[uid].owners)
    }:
        alive -= dead
    return alive


def carry_out(graph, world, uid):
    if uid not in world:
        return set()
    match judge(graph, uid, absent=set(UIDS) - world.keys()):
        case Delete(propagation):
            return delete(graph, world, uid, propagation)
        case Release(uids):
            world[uid] = replace(world[uid], owners=tuple(r for r in world[uid].owners if r.uid not in uids))
            return graph.put(world[uid])
        case Unfinalize(_):
            del world[uid]
            return graph.remove(uid)
    return set()


def delete(graph, world, uid, propagation):
    if propagation == "Foreground":
        world[uid] = replace(world[uid], deleting=True, foreground=True)
        return graph.put(world[uid])
    del world[uid]
    return graph.remove(uid)
