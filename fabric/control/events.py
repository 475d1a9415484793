"""Events: what components tell the user about an object, with `kubectl describe` as the reader.

Recording never blocks and never fails. What waits to be written is bounded (the oldest is dropped,
and counted); repeats of one message are counted into one Event, also across writes; an object that
is talked about too much falls silent until its allowance has grown again.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from fabric.api.kinds import EVENT
from fabric.api.objects import Object, resource_version_of, timestamp, uid_of
from fabric.control.allowance import Allowances
from fabric.control.backoff import Backoff
from fabric.control.client import Client
from fabric.control.clock import Clock
from fabric.errors import AlreadyExists, ApiError, NotFound, ServerUnavailable, TooManyRequests

PENDING_MAX = 4096
SERIES_MAX = 4096
SERIES_SECONDS = 600.0
"""A message that comes again within this time is a repeat of the same Event."""
BURST = 25
REFILL_SECONDS = 300.0
"""An object may say 25 things at once, and then one every 300 s: as client-go's spam filter."""
REST_FACTOR = 4
"""After a write the recorder rests four times as long as it took: talk waits for work."""
OBJECT_NAME_MAX = 236
"""Of 253 letters that an Event's name may have; the rest is its moment."""
BACKOFF = Backoff(0.5, 30.0)

log = logging.getLogger(__name__)


class _Said(NamedTuple):
    """The identity of an Event: two with the same are repeats of each other."""

    kind: str
    namespace: str
    name: str
    uid: str
    type: str
    reason: str
    message: str
    field_path: str


@dataclass(slots=True)
class _Series:
    """A series is an Event and how often it was told."""

    body: Object
    first: datetime
    last: datetime
    count: int = 1
    written: bool = False


class Events(Protocol):
    """The contract of `EventRecorder.event`, by which a component writes Events."""

    def event(self, obj: Object, type: str, reason: str, message: str, *, field_path: str = "") -> None: ...


class EventRecorder:
    """The recorder writes the Events of one component."""

    def __init__(self, client: Client, clock: Clock, component: str, host: str = "") -> None:
        self._client = client
        self._clock = clock
        self._component = component
        self._host = host
        self._series: OrderedDict[_Said, _Series] = OrderedDict()
        self._pending: OrderedDict[_Said, _Series] = OrderedDict()
        self._allowances = Allowances(BURST, REFILL_SECONDS, SERIES_MAX)
        self._salt = zlib.crc32(f"{component}/{host}".encode()) % 1000
        """Two components that speak in the same microsecond say two things."""
        self._moment = 0
        self._wake = asyncio.Event()
        self.dropped = 0
        """Events that were never written: too many at once, too many of one object, or refused."""

    def at(self, host: str) -> Events:
        """The same recorder, speaking from this host."""
        return _At(self, host, self._component)

    def of(self, component: str) -> Events:
        """The same recorder, speaking for this component of its process."""
        return _At(self, self._host, component)

    def event(
        self,
        obj: Object,
        type: str,
        reason: str,
        message: str,
        *,
        field_path: str = "",
        host: str = "",
        component: str = "",
    ) -> None:
        """Say something about `obj`: type Normal or Warning, a reason in CamelCase, and a sentence.

        Never blocks; what cannot be written is counted in `dropped`.
        """
        now = self._clock.now()
        meta = obj["metadata"]
        said = _Said(
            obj.get("kind", ""),
            meta.get("namespace") or "",
            meta["name"],
            uid_of(obj),
            type,
            reason,
            message,
            field_path,
        )
        if not self._allowances.take(said[:4], now):
            self.dropped += 1
            return
        source = component or self._component, host or self._host
        series = self._repeat(said, now) or self._begin(said, obj, now, *source)
        self._pending[said] = series
        if len(self._pending) > PENDING_MAX:
            self._pending.popitem(last=False)
            self.dropped += 1
        self._wake.set()

    async def run(self) -> None:
        """Write what was said, for ever; while the server cannot be reached, it waits up to 30 s."""
        failures = 0
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._flush()
                failures = 0
            except (ServerUnavailable, TooManyRequests) as error:
                failures += 1
                log.info("events of %s wait: %s", self._component, error)
                await asyncio.sleep(BACKOFF.seconds(failures))
                self._wake.set()

    def _repeat(self, said: _Said, now: datetime) -> _Series | None:
        series = self._series.get(said)
        if series is None or (now - series.last).total_seconds() > SERIES_SECONDS:
            return None
        self._series.move_to_end(said)
        series.count += 1
        series.last = now
        return series

    def _begin(self, said: _Said, obj: Object, now: datetime, component: str, host: str) -> _Series:
        series = self._series[said] = _Series(self._body(said, obj, now, component, host), now, now)
        self._series.move_to_end(said)
        if len(self._series) > SERIES_MAX:
            self._series.popitem(last=False)
        return series

    def _body(self, said: _Said, obj: Object, now: datetime, component: str, host: str) -> Object:
        source = {"component": component} | ({"host": host} if host else {})
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {
                "name": self._name(said, now),
                "namespace": said.namespace or "default",
            },
            "involvedObject": {
                "apiVersion": obj.get("apiVersion", ""),
                "kind": said.kind,
                "namespace": said.namespace,
                "name": said.name,
                "uid": said.uid,
                "resourceVersion": resource_version_of(obj),
                **({"fieldPath": said.field_path} if said.field_path else {}),
            },
            "type": said.type,
            "reason": said.reason,
            "message": said.message,
            "source": source,
            "reportingComponent": component,
            "reportingInstance": host,
        }

    def _name(self, said: _Said, now: datetime) -> str:
        """Return a name as client-go's: the object's and nanoseconds in hex, so that names sort by time."""
        moment = int(now.timestamp() * 1e6) * 1000 + self._salt
        self._moment = max(moment, self._moment + 1000)
        return f"{said.name[:OBJECT_NAME_MAX].rstrip('-.')}.{self._moment:016x}"

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        while self._pending:
            began = loop.time()
            said, series = self._pending.popitem(last=False)
            try:
                await self._write(series)
            except (ServerUnavailable, TooManyRequests):
                self._pending.setdefault(said, series)
                self._pending.move_to_end(said, last=False)
                raise
            except ApiError as error:
                self.dropped += 1
                log.info("event %s of %s %s is refused: %s", said.reason, said.kind, said.name, error)
            await asyncio.sleep(REST_FACTOR * (loop.time() - began))

    async def _write(self, series: _Series) -> None:
        body = series.body | {
            "firstTimestamp": timestamp(series.first),
            "lastTimestamp": timestamp(series.last),
            "count": series.count,
        }
        meta = body["metadata"]
        if series.written:
            change = {"count": series.count, "lastTimestamp": timestamp(series.last)}
            with suppress(NotFound):
                await self._client.patch(EVENT, meta["name"], change, namespace=meta["namespace"])
                return
        with suppress(AlreadyExists):
            await self._client.create(EVENT, body, namespace=meta["namespace"])
        series.written = True


@dataclass(frozen=True, slots=True)
class _At:
    """A recorder that many hosts or components share, as one of them has it."""

    recorder: EventRecorder
    host: str
    component: str

    def event(self, obj: Object, type: str, reason: str, message: str, *, field_path: str = "") -> None:
        source = {"host": self.host, "component": self.component}
        self.recorder.event(obj, type, reason, message, field_path=field_path, **source)
