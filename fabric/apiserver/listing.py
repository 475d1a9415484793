"""Lists: a page of the collection at one revision, and the token for the next page.

The token names the revision and the last key. While nothing in the collection changed since, the next
page comes from memory, else from the store's history; a forgotten revision is Gone.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Iterable, Iterator
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
from fabric.apiserver.storage_keys import layout_of
from fabric.apiserver.strategies import strategy_of
from fabric.apiserver.watch_cache import Item
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
    return (not labels.requirements or labels.matches(labels_of(obj))) and fields.matches(obj)


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
    start_after = token.last_key if token else ""
    found: Iterable[Item]
    if cacher.of(kind).revision <= revision <= cacher.revision:
        found = _from_memory(cacher, kind, namespace, start_after, options)
    else:
        found = await _from_history(store, kind, namespace, Token(revision, start_after), options)
    return _page(found, revision, options)


def _page(found: Iterable[Item], revision: int, options: ListOptions) -> ListPage:
    if not options.limit:
        return ListPage([item.obj for item in found], str(revision), "", None)
    rest = iter(found)
    items = list(islice(rest, options.limit))
    following = sum(1 for _ in rest)
    token = str(Token(revision, items[-1].key)) if following else ""
    is_counted = (
        following > 0 and not options.label_selector.requirements and not options.field_selector.requirements
    )
    return ListPage([item.obj for item in items], str(revision), token, following if is_counted else None)


def _from_memory(
    cacher: Cacher, kind: Kind, namespace: str, start_after: str, options: ListOptions
) -> Iterator[Item]:
    labels, fields = options.label_selector, options.field_selector
    prefix = f"{namespace}/" if kind.namespaced and namespace else ""
    for item in cacher.of(kind).items(prefix, start_after):
        if selects(labels, fields, item.obj):
            yield item


async def _from_history(
    store: Store, kind: Kind, namespace: str, token: Token, options: ListOptions
) -> list[Item]:
    scope = f"{namespace}/" if kind.namespaced and namespace else ""
    found: list[Item] = []
    try:
        async for item in _past_items(store, kind, scope, token):
            in_scope = item.key.startswith(scope) and item.key > token.last_key
            if in_scope and selects(options.label_selector, options.field_selector, item.obj):
                found.append(item)
    except Compacted:
        raise (
            continue_expired() if token.last_key else Gone(f"too old resource version: {token.revision}")
        ) from None
    return sorted(found, key=lambda item: item.key)


async def _past_items(store: Store, kind: Kind, scope: str, token: Token) -> AsyncIterator[Item]:
    """The objects at the token's revision. A plugin's keys may sort otherwise than names: read them all."""
    layout = layout_of(kind)
    sorts_alike = not isinstance(kind, ServedKind)
    prefix = layout.prefix + scope if sorts_alike else layout.prefix
    start_after = layout.prefix + token.last_key if token.last_key and sorts_alike else ""
    more = True
    while more:
        page = await store.range(prefix, start_after=start_after, limit=HISTORY_PAGE, revision=token.revision)
        for kv in page.kvs:
            tail = kv.key.removeprefix(layout.prefix)
            name, obj = layout.name(tail), layout.decode(kv.value, tail)
            if name is not None and obj is not None:
                yield Item(name, obj, kv.mod_revision)
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
