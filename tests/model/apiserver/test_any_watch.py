"""Watchers end up with what a list shows: slow ones, ones that hang up, ones that trust a bookmark."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.registry import new_registry
from support.virtual_time import VirtualTimeLoop

from fabric.api.kinds import CONFIG_MAP
from fabric.api.selectors import LabelSelector
from fabric.apiserver import watch_cache
from fabric.apiserver.local import LocalClient
from fabric.apiserver.options import ListOptions
from fabric.apiserver.registry import Registry
from fabric.apiserver.watching import BOOKMARK_SECONDS
from fabric.errors import Gone, NotFound

SETTLE_SECONDS = 10 * BOOKMARK_SECONDS
RING = 6
"""Few enough changes are remembered that a slow watcher falls behind."""
PORTION_BYTES = 400
"""Of two changes or so: a watcher that is behind takes several portions."""


@dataclass
class Watcher:
    """A reflector: it lists, watches, resumes from where it stands, and lists again when it must."""

    registry: Registry
    namespace: str
    selector: str
    pause_seconds: float
    """Between one event and the next."""
    seen: dict[str, str] = field(default_factory=dict)
    """The revision of each object by name."""
    revision: int = 0
    watching: asyncio.Task[None] | None = None

    async def run(self) -> None:
        while True:
            self.watching = asyncio.ensure_future(self._watch())
            try:
                await asyncio.wait([self.watching])
            finally:
                self.watching.cancel()
            if not self.watching.cancelled() and (error := self.watching.exception()):
                raise error

    async def listed(self) -> tuple[dict[str, str], int]:
        options = ListOptions(LabelSelector.parse(self.selector))
        page = await self.registry.list(CONFIG_MAP, self.namespace, options)
        return dict(map(_name_and_revision, page.items)), int(page.resource_version)

    async def _watch(self) -> None:
        if not self.revision:
            self.seen, self.revision = await self.listed()
        events = self.registry.watch(
            CONFIG_MAP,
            self.namespace,
            resource_version=str(self.revision),
            label_selector=LabelSelector.parse(self.selector),
            bookmarks=True,
        )
        try:
            async with aclosing(events) as following:  # type: ignore[type-var]
                async for event, _ in following:
                    self._take(event.type, event.object)
                    await asyncio.sleep(self.pause_seconds)
        except Gone:
            self.revision = 0

    def _take(self, type_: str, obj: dict[str, Any]) -> None:
        revision = int(obj["metadata"]["resourceVersion"])
        if type_ == "BOOKMARK":
            assert revision >= self.revision, f"a bookmark at {revision} after {self.revision}"
        else:
            assert revision > self.revision, f"{type_} at {revision} after {self.revision} was told"
            name, _ = _name_and_revision(obj)
            assert (name in self.seen) == (type_ != "ADDED"), f"{type_} of {name}"
            if type_ == "DELETED":
                del self.seen[name]
            else:
                self.seen[name] = str(revision)
        self.revision = revision


def _name_and_revision(obj: dict[str, Any]) -> tuple[str, str]:
    meta = obj["metadata"]
    return f"{meta['namespace']}/{meta['name']}", meta["resourceVersion"]


NAMESPACES = st.sampled_from(["default", "kube-system"])
NAMES = st.sampled_from(["map-1", "map-2", "map-3"])
SECONDS = st.sampled_from([0.0, 0.5, 10.0, BOOKMARK_SECONDS - 0.5, BOOKMARK_SECONDS])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), NAMESPACES, NAMES, st.sampled_from(["a", "b"])),
        st.tuples(st.just("delete"), NAMESPACES, NAMES),
        st.tuples(st.just("sleep"), SECONDS),
        st.tuples(st.just("hang up"), st.integers(0, 3)),
    ),
    max_size=40,
)
WATCHERS = st.lists(
    st.tuples(st.sampled_from(["", "default"]), st.sampled_from(["", "app=a", "app!=a"]), SECONDS),
    min_size=1,
    max_size=4,
)


async def put(client: LocalClient, namespace: str, name: str, app: str) -> None:
    patch: dict[str, Any] = {
        "metadata": {"labels": {"app": app}},
        "data": {"at": str(asyncio.get_running_loop().time())},
    }
    try:
        await client.patch(CONFIG_MAP, name, patch, namespace=namespace)
    except NotFound:
        patch["metadata"]["name"] = name
        await client.create(CONFIG_MAP, patch, namespace=namespace)


async def act(step: Sequence[Any], client: LocalClient, watchers: Sequence[Watcher]) -> None:
    match step:
        case ("put", namespace, name, app):
            await put(client, namespace, name, app)
        case ("delete", namespace, name):
            with suppress(NotFound):
                await client.delete(CONFIG_MAP, name, namespace)
        case ("sleep", seconds):
            await asyncio.sleep(seconds)
        case ("hang up", index):
            watching = watchers[index % len(watchers)].watching
            if watching is not None:
                watching.cancel()


async def story(steps: Sequence[Sequence[Any]], wanted: Sequence[tuple[str, str, float]]) -> None:
    async with new_registry() as registry:
        client = LocalClient(registry)
        watchers = [Watcher(registry, *each) for each in wanted]
        tasks = [asyncio.ensure_future(watcher.run()) for watcher in watchers]
        for step in steps:
            await act(step, client, watchers)
            failed = [task.exception() for task in tasks if task.done()]
            assert not failed, failed
        await asyncio.sleep(SETTLE_SECONDS)
        for task, watcher in zip(tasks, watchers, strict=True):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            assert watcher.seen == (await watcher.listed())[0]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, watchers=WATCHERS)
def test_watchers_end_up_with_what_a_list_shows_and_no_bookmark_is_ahead_of_an_event(steps, watchers):
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        patch.setattr(watch_cache, "CHANGES_MAX", RING)
        patch.setattr(watch_cache, "PORTION_BYTES", PORTION_BYTES)
        runner.run(story(steps, watchers))
