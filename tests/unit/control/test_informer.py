import asyncio

import pytest
from support.memory_api import MemoryApi
from support.owned_task import running

from fabric.api.kinds import NODE, POD
from fabric.api.objects import Key
from fabric.control.informer import Informer
from fabric.control.informers import Informers
from fabric.errors import Forbidden, ServerUnavailable

POD_1 = Key("default", "pod-1")
POD_2 = Key("default", "pod-2")


def pod(name, node="", **meta):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "default", "name": name} | meta,
        "spec": {"nodeName": node} if node else {},
    }


def followed(api):
    """An informer of pods, and the list of what it tells: +key, ~key or -key."""
    informer = Informer(api, POD)
    told = []
    informer.on_change(
        lambda key, old, new: told.append(("+" if old is None else "-" if new is None else "~") + key.name)
    )
    return informer, told


async def test_it_lists_and_then_follows_the_watch():
    api = MemoryApi()
    api.put(POD, pod("pod-1"))
    informer, told = followed(api)
    async with running(informer.run()):
        await informer.synced()
        assert told == ["+pod-1"]
        api.put(POD, pod("pod-2"))
        api.put(POD, pod("pod-1", node="node-1"))
        api.remove(POD, POD_2)
        await asyncio.sleep(1)
    assert told == ["+pod-1", "+pod-2", "~pod-1", "-pod-2"]
    assert informer.get(POD_1)["spec"] == {"nodeName": "node-1"}
    assert informer.get(POD_2) is None
    assert [obj["metadata"]["name"] for obj in informer.items()] == ["pod-1"]


async def test_a_watch_that_ends_is_taken_up_where_it_stood():
    api = MemoryApi()
    informer, told = followed(api)
    async with running(informer.run()):
        await asyncio.sleep(1)
        api.break_watches()
        api.put(POD, pod("pod-1"))
        await asyncio.sleep(1)
    assert told == ["+pod-1"]
    assert api.calls == ["list pods", "watch pods 0", "watch pods 0"]


async def test_a_deletion_during_a_gap_is_told_after_the_relist():
    api = MemoryApi()
    for name in ("pod-1", "pod-2"):
        api.put(POD, pod(name))
    informer, told = followed(api)
    async with running(informer.run()):
        await informer.synced()
        told.clear()
        api.remove(POD, POD_1)
        api.compact()
        api.break_watches()
        await asyncio.sleep(30)
    assert told == ["-pod-1"]
    assert informer.get(POD_1) is None


async def test_a_pod_that_was_replaced_during_a_gap_is_told_as_gone_and_new():
    api = MemoryApi()
    api.put(POD, pod("pod-1", uid="a"))
    informer, told = followed(api)
    async with running(informer.run()):
        await informer.synced()
        api.remove(POD, POD_1)
        api.put(POD, pod("pod-1", uid="b"))
        api.compact()
        api.break_watches()
        await asyncio.sleep(30)
    assert told == ["+pod-1", "-pod-1", "+pod-1"]


async def test_a_relist_that_shows_nothing_new_tells_nothing():
    api = MemoryApi()
    api.put(POD, pod("pod-1"))
    informer, told = followed(api)
    async with running(informer.run()):
        await informer.synced()
        api.refusals.append(ServerUnavailable("restarting"))
        api.break_watches()
        await asyncio.sleep(30)
    assert api.calls.count("list pods") == 2
    assert told == ["+pod-1"]


async def test_a_server_that_refuses_is_asked_again_after_a_doubling_delay():
    api = MemoryApi()
    loop = asyncio.get_running_loop()
    times = []
    api.refusals = [ServerUnavailable("down"), Forbidden("not yet"), ServerUnavailable("down")]
    api.put(POD, pod("pod-1"))
    informer, _ = followed(api)
    informer.on_change(lambda key, old, new: times.append(round(loop.time(), 6)))
    async with running(informer.run()):
        await asyncio.sleep(60)
    assert times == [0.7]


async def test_watches_that_end_at_once_are_not_asked_for_without_a_pause():
    class Hasty(MemoryApi):
        async def watch(self, kind, namespace="", **options):
            self._call("watch", kind, "")
            return
            yield

    api = Hasty()
    informer, _ = followed(api)
    async with running(informer.run()):
        await asyncio.sleep(60)
    assert 5 < api.calls.count("watch pods") < 20


async def test_an_index_follows_every_change():
    api = MemoryApi()
    api.put(POD, pod("pod-1", node="node-1"))
    informer, _ = followed(api)
    informer.add_index("node", by_node)
    async with running(informer.run()):
        await informer.synced()
        assert names(informer, "node-1") == ["pod-1"]
        api.put(POD, pod("pod-1", node="node-2"))
        api.put(POD, pod("pod-2", node="node-2"))
        await asyncio.sleep(1)
        assert (names(informer, "node-1"), names(informer, "node-2")) == ([], ["pod-1", "pod-2"])
        api.remove(POD, POD_1)
        await asyncio.sleep(1)
        assert names(informer, "node-2") == ["pod-2"]


async def test_who_asks_late_is_told_what_is_there():
    api = MemoryApi()
    api.put(POD, pod("pod-1", node="node-1"))
    informer, _ = followed(api)
    late = []
    async with running(informer.run()):
        await informer.synced()
        informer.on_change(lambda key, old, new: late.append((key, old)))
        informer.add_index("node", by_node)
    assert late == [(POD_1, None)]
    assert names(informer, "node-1") == ["pod-1"]


async def test_an_index_name_belongs_to_one_function():
    informer = Informer(MemoryApi(), POD)
    informer.add_index("node", by_node)
    informer.add_index("node", by_node)
    with pytest.raises(ValueError, match="already by another function"):
        informer.add_index("node", lambda obj: ())


async def test_the_same_arguments_give_the_same_informer():
    informers = Informers(MemoryApi())
    assert informers.of(POD) is informers.of(POD)
    assert informers.of(POD) is not informers.of(POD, namespace="default")
    assert informers.of(POD) is not informers.of(NODE)


async def test_the_factory_runs_also_what_is_asked_for_later():
    api = MemoryApi()
    api.put(POD, pod("pod-1"))
    informers = Informers(api)
    informers.of(NODE)
    async with running(informers.run()):
        await informers.synced()
        pods = informers.of(POD)
        await informers.synced()
        assert pods.get(POD_1) is not None


async def test_a_bug_in_a_handler_ends_the_run():
    api = MemoryApi()
    api.put(POD, pod("pod-1"))
    informers = Informers(api)
    informers.of(POD).on_change(lambda key, old, new: 1 / 0)
    with pytest.raises(ExceptionGroup) as caught:
        await informers.run()
    assert caught.group_contains(ZeroDivisionError)


def by_node(obj):
    node = obj["spec"].get("nodeName")
    return [node] if node else []


def names(informer, node):
    return [obj["metadata"]["name"] for obj in informer.by_index("node", node)]
