import asyncio
import re
from datetime import UTC, datetime

from support.memory_api import MemoryApi
from support.owned_task import running

from fabric.api.kinds import EVENT
from fabric.control.clock import LoopClock
from fabric.control.events import PENDING_MAX, EventRecorder
from fabric.errors import NotFound, ServerUnavailable

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"namespace": "default", "name": "pod-1", "uid": "u-1", "resourceVersion": "7"},
}
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1", "uid": "u-2"}}


def recorder_of(api):
    clock = LoopClock(datetime(2026, 1, 1, 12, tzinfo=UTC))
    return EventRecorder(api, clock, "kubelet", "node-1")


def written(api):
    return [obj for (kind, _), obj in api.objects.items() if kind == EVENT]


async def test_an_event_says_who_saw_what_on_which_object():
    api = MemoryApi()
    recorder = recorder_of(api)
    recorder.event(POD, "Warning", "BackOff", "back-off 10s restarting failed container")
    async with running(recorder.run()):
        await asyncio.sleep(1)
    [event] = written(api)
    assert event["metadata"]["name"].startswith("pod-1.")
    assert event["metadata"]["namespace"] == "default"
    assert event["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": "default",
        "name": "pod-1",
        "uid": "u-1",
        "resourceVersion": "7",
    }
    assert event["source"] == {"component": "kubelet", "host": "node-1"}
    assert (event["type"], event["reason"], event["count"]) == ("Warning", "BackOff", 1)
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-01-01T12:00:00Z"


async def test_a_list_by_name_is_in_the_order_in_which_things_were_said():
    api = MemoryApi()
    recorder = recorder_of(api)
    for reason in ("Pulled", "Created", "Started"):
        recorder.event(POD, "Normal", reason, "at the same moment")
    async with running(recorder.run()):
        await asyncio.sleep(1)
        recorder.event(POD, "Normal", "Killing", "a second later")
        await asyncio.sleep(1)
    by_name = sorted(written(api), key=lambda event: event["metadata"]["name"])
    assert [event["reason"] for event in by_name] == ["Pulled", "Created", "Started", "Killing"]


async def test_a_shared_recorder_says_which_host_speaks():
    api = MemoryApi()
    recorder = EventRecorder(api, LoopClock(), "kubelet")
    recorder.at("node-2").event(POD, "Normal", "Started", "x")
    async with running(recorder.run()):
        await asyncio.sleep(1)
    [event] = written(api)
    assert event["source"] == {"component": "kubelet", "host": "node-2"}
    assert event["reportingInstance"] == "node-2"


async def test_two_components_that_speak_at_once_say_two_things():
    api = MemoryApi()
    clock = LoopClock(datetime(2026, 1, 1, 12, tzinfo=UTC))
    for component in ("kubelet", "default-scheduler"):
        recorder = EventRecorder(api, clock, component)
        recorder.event(POD, "Normal", "Said", "the same")
        async with running(recorder.run()):
            await asyncio.sleep(0)
    assert len(written(api)) == 2


async def test_an_event_of_the_longest_name_has_a_valid_name():
    api = MemoryApi()
    recorder = recorder_of(api)
    long = {**POD, "metadata": {**POD["metadata"], "name": "a" * 235 + "-" + "b" * 17}}
    recorder.event(long, "Normal", "Started", "x")
    async with running(recorder.run()):
        await asyncio.sleep(1)
    [event] = written(api)
    assert re.fullmatch(r"a{235}\.[0-9a-f]{16}", event["metadata"]["name"])


async def test_events_of_cluster_scoped_objects_go_to_the_default_namespace():
    api = MemoryApi()
    recorder = recorder_of(api)
    recorder.event(NODE, "Normal", "NodeReady", "node is ready")
    async with running(recorder.run()):
        await asyncio.sleep(1)
    [event] = written(api)
    assert event["metadata"]["namespace"] == "default"
    assert event["involvedObject"]["namespace"] == ""


async def test_repeats_are_counted_into_one_event():
    api = MemoryApi()
    recorder = recorder_of(api)
    async with running(recorder.run()):
        for _ in range(3):
            recorder.event(POD, "Warning", "BackOff", "again")
            await asyncio.sleep(10)
        recorder.event(POD, "Normal", "Started", "started")
        await asyncio.sleep(1)
    repeated, other = written(api)
    assert (repeated["count"], other["count"]) == (3, 1)
    assert repeated["firstTimestamp"] == "2026-01-01T12:00:00Z"
    assert repeated["lastTimestamp"] == "2026-01-01T12:00:20Z"


async def test_repeats_that_wait_together_cost_one_write():
    api = MemoryApi()
    recorder = recorder_of(api)
    for _ in range(5):
        recorder.event(POD, "Warning", "BackOff", "again")
    async with running(recorder.run()):
        await asyncio.sleep(1)
    assert [event["count"] for event in written(api)] == [5]
    assert len(api.calls) == 1


async def test_after_the_window_the_same_words_are_a_new_event():
    api = MemoryApi()
    recorder = recorder_of(api)
    async with running(recorder.run()):
        for _ in range(2):
            recorder.event(POD, "Warning", "BackOff", "again")
            await asyncio.sleep(3600)
    assert [event["count"] for event in written(api)] == [1, 1]


async def test_an_event_that_somebody_deleted_is_written_anew():
    api = MemoryApi()
    recorder = recorder_of(api)
    async with running(recorder.run()):
        recorder.event(POD, "Warning", "BackOff", "again")
        await asyncio.sleep(1)
        api.objects.clear()
        recorder.event(POD, "Warning", "BackOff", "again")
        await asyncio.sleep(1)
    assert [event["count"] for event in written(api)] == [2]


async def test_an_object_that_is_talked_about_too_much_falls_silent_for_a_while():
    api = MemoryApi()
    recorder = recorder_of(api)
    async with running(recorder.run()):
        for number in range(40):
            recorder.event(POD, "Normal", "Pulled", f"image {number}")
        recorder.event(NODE, "Normal", "NodeReady", "node is ready")
        await asyncio.sleep(1)
        assert (len(written(api)), recorder.dropped) == (26, 15)
        await asyncio.sleep(300)
        recorder.event(POD, "Normal", "Pulled", "image 41")
        await asyncio.sleep(1)
    assert len(written(api)) == 27


async def test_what_waits_is_bounded_and_the_oldest_is_dropped():
    api = MemoryApi()
    recorder = recorder_of(api)
    for number in range(PENDING_MAX + 5):
        pod = {"kind": "Pod", "metadata": {"namespace": "default", "name": f"pod-{number}"}}
        recorder.event(pod, "Normal", "Scheduled", "assigned")
    async with running(recorder.run()):
        await asyncio.sleep(1)
    names = {event["involvedObject"]["name"] for event in written(api)}
    assert (len(names), recorder.dropped) == (PENDING_MAX, 5)
    assert "pod-4" not in names
    assert "pod-5" in names


class SlowApi(MemoryApi):
    """A server that takes a tenth of a second for a write."""

    async def create(self, *arguments, **options):
        await asyncio.sleep(0.1)
        return await super().create(*arguments, **options)


async def test_talk_waits_for_a_server_that_is_busy():
    api = SlowApi()
    recorder = recorder_of(api)
    for number in range(100):
        pod = {"kind": "Pod", "metadata": {"namespace": "default", "name": f"pod-{number}"}}
        recorder.event(pod, "Normal", "Scheduled", "assigned")
    async with running(recorder.run()):
        await asyncio.sleep(5)
    assert len(written(api)) == 10


async def test_events_wait_for_a_server_that_is_away():
    api = MemoryApi()
    api.refusals = [ServerUnavailable("restarting")] * 3
    recorder = recorder_of(api)
    recorder.event(POD, "Normal", "Started", "started")
    async with running(recorder.run()):
        await asyncio.sleep(60)
    assert len(written(api)) == 1
    assert recorder.dropped == 0


async def test_an_event_that_the_server_refuses_is_dropped_and_the_next_is_written():
    api = MemoryApi()
    api.refusals = [NotFound("namespace default is gone")]
    recorder = recorder_of(api)
    recorder.event(POD, "Normal", "Started", "started")
    recorder.event(NODE, "Normal", "NodeReady", "node is ready")
    async with running(recorder.run()):
        await asyncio.sleep(60)
    assert [event["reason"] for event in written(api)] == ["NodeReady"]
    assert recorder.dropped == 1
