"""Lists: a page of the collection at one revision, and the token for the next page.

The token names the revision and the last key. While nothing in the collection changed since, the next
page comes from memory, else from the store's history; a forgotten revision is Gone. A page costs its own
size, however long the collection is; with selectors, what is looked through until it is full.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice

import orjson

from fabric.api.kinds import Kind
from fabric.api.objects import Object, labels_of
from fabric.api.selectors import FieldSelector, LabelSelector
from fabric.apiserver.cacher import Cacher
from fabric.apiserver.options import ListOptions, ListPage
from fabric.apiserver.refusals import (
    Cause,
    continue_expired,
    forbidden_field,
    invalid_options,
    not_supported,
    shown,
)
from fabric.apiserver.storage_keys import codec_of
from fabric.apiserver.strategies import strategy_of
from fabric.apiserver.watch_cache import Item, WatchCache
from fabric.errors import BadRequest, Compacted, Gone
from fabric.plugin.served import ServedKind
from fabric.store.port import Store

HISTORY_PAGE = 500
REVISION_MAX = (1 << 63) - 1
"""Revisions are signed 64-bit numbers, in etcd as here."""


@dataclass(frozen=True, slots=True)
class Token:
    """The continue token: the revision of a list and the last key of a page."""

    revision: int
    last_key: str

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(
            orjson.dumps({"v": 1, "rv": self.revision, "k": self.last_key})
        ).decode()

    @classmethod
    def parse(cls, text: str) -> Token:
        try:
            fields = orjson.loads(base64.urlsafe_b64decode(text))
            revision, last_key = fields["rv"], fields["k"]
        except (binascii.Error, ValueError, KeyError, TypeError) as error:
            raise BadRequest(f"continue key is not valid: {text!r}") from error
        if type(revision) is not int or not isinstance(last_key, str) or not 0 < revision <= REVISION_MAX:
            raise BadRequest(f"continue key is not valid: {text!r}")
        return cls(revision, last_key)


def check_fields(kind: Kind, selector: FieldSelector) -> None:
    """BadRequest when the selector names a field that this kind cannot be selected by."""
    known = strategy_of(kind).fields
    for requirement in selector.requirements:
        path = requirement.path
        if (
            path != "metadata.name"
            and not (path == "metadata.namespace" and kind.namespaced)
            and path not in known
        ):
            raise BadRequest(
                f'Unable to find "{kind.group}/{kind.version}, Resource={kind.plural}" that match label '
                f'selector "", field selector "{selector}": field label not supported: {path}'
            )


def selects(labels: LabelSelector, fields: FieldSelector, obj: Object) -> bool:
    if labels.requirements and not labels.matches(labels_of(obj)):
        return False
    return not fields.requirements or fields.matches(obj)


async def read_page(
    store: Store, cacher: Cacher, kind: Kind, namespace: str, options: ListOptions
) -> ListPage:
    """The next page of the objects that the options select, in key order."""
    check_fields(kind, options.field_selector)
    token = Token.parse(options.continue_) if options.continue_ else None
    _check_freshness(options)
    asked = parse_version(options.resource_version)
    await cacher.fresh(asked)
    exact = asked if options.resource_version_match == "Exact" else cacher.revision
    revision = token.revision if token else exact
    token = token or Token(revision, "")
    scope = f"{namespace}/" if kind.namespaced and namespace else ""
    if cacher.of(kind).revision <= revision <= cacher.revision:
        return _page_from_cache(cacher.of(kind), scope, token, options)
    try:
        return await _page_from_store(store, kind, scope, token, options)
    except Compacted:
        too_old = Gone(f"too old resource version: {revision}")
        raise (continue_expired() if token.last_key else too_old) from None


def _page_from_cache(cache: WatchCache, scope: str, token: Token, options: ListOptions) -> ListPage:
    selected = (item for item in cache.items(scope, token.last_key) if _selects(options, item))
    found = list(islice(selected, _wanted(options)))
    return _page(found, cache.count(scope, token.last_key), token, options)


async def _page_from_store(
    store: Store, kind: Kind, scope: str, token: Token, options: ListOptions
) -> ListPage:
    if isinstance(kind, ServedKind):  # a plugin's keys may sort otherwise than names: read them all
        every = [item async for item in _past_items(store, kind, "", Token(token.revision, ""))]
        rest = [item for item in every if item.key.startswith(scope) and item.key > token.last_key]
        selected = sorted((item for item in rest if _selects(options, item)), key=lambda item: item.key)
        return _page(selected, len(rest), token, options)
    found: list[Item] = []
    async with aclosing(_past_items(store, kind, scope, token)) as items:
        async for item in items:
            if _selects(options, item):
                found.append(item)
            if len(found) == _wanted(options):
                break
    prefix, start_after = _past_range(kind, scope, token)
    count = (await store.range(prefix, start_after=start_after, limit=1, revision=token.revision)).count
    return _page(found, count, token, options)


def _wanted(options: ListOptions) -> int | None:
    """The number of items that a page looks for: one beyond its limit tells that another page follows."""
    return options.limit + 1 if options.limit else None


def _selects(options: ListOptions, item: Item) -> bool:
    return selects(options.label_selector, options.field_selector, item.obj)


def _page(found: Sequence[Item], count: int, token: Token, options: ListOptions) -> ListPage:
    """The page of what was found after the token; `count`: how many items follow it, selected or not."""
    shown = found[: options.limit] if options.limit else found
    objects, revision = [item.obj for item in shown], str(token.revision)
    if len(found) == len(shown):
        return ListPage(objects, revision, "", None)
    is_selected = bool(options.label_selector.requirements or options.field_selector.requirements)
    remaining = None if is_selected else count - len(shown)
    return ListPage(objects, revision, str(Token(token.revision, shown[-1].key)), remaining)


def _past_range(kind: Kind, scope: str, token: Token) -> tuple[str, str]:
    """The prefix and the last key in the store of what follows the token."""
    prefix = codec_of(kind).prefix
    return prefix + scope, prefix + token.last_key if token.last_key else ""


async def _past_items(store: Store, kind: Kind, scope: str, token: Token) -> AsyncGenerator[Item, None]:
    """The objects at the token's revision and behind it, in the order of the store's keys."""
    codec = codec_of(kind)
    prefix, start_after = _past_range(kind, scope, token)
    more = True
    while more:
        page = await store.range(prefix, start_after=start_after, limit=HISTORY_PAGE, revision=token.revision)
        for kv in page.kvs:
            tail = kv.key.removeprefix(codec.prefix)
            name, obj = codec.name(tail), codec.decode(kv.value, tail)
            if name is not None and obj is not None:
                yield Item(name, obj, kv.mod_revision, len(kv.value))
        more = page.more
        start_after = page.kvs[-1].key if page.kvs else ""


def _check_freshness(options: ListOptions) -> None:
    if causes := version_faults(options):
        raise invalid_options("ListOptions", causes)
    version = options.resource_version
    if version and options.continue_ and version != "0":
        raise BadRequest("specifying resource version is not allowed when using continue")
    parse_version(version)


def version_faults(options: ListOptions) -> list[Cause]:
    """Faults of a list's resourceVersionMatch and sendInitialEvents, as apimachinery words them."""
    match, path = options.resource_version_match, "resourceVersionMatch"
    causes = []
    if match and not options.resource_version:
        causes.append(forbidden_field(path, f"{path} is forbidden unless resourceVersion is provided"))
    if match and options.continue_:
        causes.append(forbidden_field(path, f"{path} is forbidden when continue is provided"))
    if match not in ("", "Exact", "NotOlderThan"):
        causes.append(not_supported(path, match, ("Exact", "NotOlderThan", "")))
    if match == "Exact" and options.resource_version == "0":
        causes.append(forbidden_field(path, f'{path} "exact" is forbidden for resourceVersion "0"'))
    if options.send_initial_events is not None:
        causes.append(forbidden_field("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return causes


def parse_version(text: str) -> int:
    """A resourceVersion as a number; BadRequest when it is none. Empty is 0."""
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(REVISION_MAX)):
        raise _no_version(text)
    if (version := int(text)) > REVISION_MAX:
        raise _no_version(text)
    return version


def _no_version(text: str) -> BadRequest:
    return BadRequest(f"resourceVersion: Invalid value: {shown(text)}: must be a number of the server's own")
