"""The label index knows which labelled items each selector matches, and tells of every change of that.

An item (an endpoint, a network set) has labels of its own and inherits those of its profiles: its namespace
and its service account. A change costs what it touches: selectors are found by a label that an item must
have to match them, and items by the labels that they have.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from calico.selector import And, Comparison, Has, Labels, Membership, Node, Or, Selector

Item = TypeVar("Item")
Anchor = tuple[str, str | None]
"""A label that an item must have; None where any value will do."""
_EVERYWHERE = "projectcalico.org/"
"""Labels that so many items have are looked for last."""


@dataclass(slots=True)
class _Entry(Generic[Item]):
    own: Labels
    parents: tuple[str, ...]
    labels: Labels = field(default_factory=dict)
    """Its own and the inherited ones."""
    selectors: set[Selector] = field(default_factory=set)
    """Those that match it."""


class LabelIndex(Generic[Item]):
    """The matches of selectors with items; `on_change` is told of each that comes (True) or goes."""

    def __init__(self, on_change: Callable[[Selector, Item, bool], None]) -> None:
        self._on_change = on_change
        self._entries: dict[Item, _Entry[Item]] = {}
        self._parents: dict[str, Labels] = {}
        self._children: dict[str, set[Item]] = defaultdict(set)
        self._items_at: dict[Anchor, set[Item]] = defaultdict(set)
        self._users: Counter[Selector] = Counter()
        self._matches: dict[Selector, set[Item]] = {}
        self._selectors_at: dict[Anchor | None, set[Selector]] = defaultdict(set)
        """None has the selectors for which no single label is needed."""

    def put(self, item: Item, labels: Labels, parents: Iterable[str] = ()) -> None:
        """Enter an item, or change its labels and the names of what it inherits from."""
        entry = self._entries.get(item)
        if entry is None:
            entry = self._entries[item] = _Entry(labels, ())
        for parent in entry.parents:
            self._leave(parent, item)
        entry.own, entry.parents = labels, tuple(parents)
        for parent in entry.parents:
            self._children[parent].add(item)
        self._renew(item, entry)

    def drop(self, item: Item) -> None:
        """Remove an item; none is no error."""
        entry = self._entries.pop(item, None)
        if entry is None:
            return
        for parent in entry.parents:
            self._leave(parent, item)
        self._relabel(item, entry, {})
        self._set_matches(item, entry, set())

    def put_parent(self, name: str, labels: Labels) -> None:
        """Set the labels that items inherit from a profile; none when it is gone."""
        if self._parents.get(name, {}) == labels:
            return
        if labels:
            self._parents[name] = labels
        else:
            del self._parents[name]
        for item in tuple(self._children.get(name, ())):
            self._renew(item, self._entries[item])

    def add(self, selector: Selector) -> None:
        """Follow a selector, once for each `add`; at its first, all its matches are told."""
        self._users[selector] += 1
        if self._users[selector] > 1:
            return
        self._matches[selector] = set()
        for anchor in _placed(selector):
            self._selectors_at[anchor].add(selector)
        for item in self._candidates(selector):
            entry = self._entries[item]
            if selector.matches(entry.labels):
                entry.selectors.add(selector)
                self._matches[selector].add(item)
                self._on_change(selector, item, True)

    def remove(self, selector: Selector) -> None:
        """Undo one `add`; at the last, nothing is told, and the selector is forgotten."""
        self._users[selector] -= 1
        if self._users[selector] > 0:
            return
        del self._users[selector]
        for anchor in _placed(selector):
            self._selectors_at[anchor].discard(selector)
            if not self._selectors_at[anchor]:
                del self._selectors_at[anchor]
        for item in self._matches.pop(selector):
            self._entries[item].selectors.discard(selector)

    def matches(self, selector: Selector) -> Set[Item]:
        """The items that a followed selector matches; not to be changed."""
        return self._matches[selector]

    def selectors_of(self, item: Item) -> Set[Selector]:
        """The followed selectors that match an item; not to be changed."""
        entry = self._entries.get(item)
        return entry.selectors if entry else frozenset()

    def labels_of(self, item: Item) -> Labels:
        """The labels of an item, the inherited ones included."""
        entry = self._entries.get(item)
        return entry.labels if entry else {}

    def _candidates(self, selector: Selector) -> Iterable[Item]:
        anchors = _anchors(selector.root)
        if anchors is None:
            return tuple(self._entries)
        return {item for anchor in anchors for item in self._items_at.get(anchor, ())}

    def _renew(self, item: Item, entry: _Entry[Item]) -> None:
        """Compute an item's labels and matches again."""
        labels: dict[str, str] = {}
        for parent in reversed(entry.parents):
            labels.update(self._parents.get(parent, {}))
        labels.update(entry.own)
        self._relabel(item, entry, labels)
        places: tuple[Anchor | None, ...] = (*_places(labels), None)
        found = {
            selector
            for place in places
            for selector in self._selectors_at.get(place, ())
            if selector.matches(labels)
        }
        self._set_matches(item, entry, found)

    def _relabel(self, item: Item, entry: _Entry[Item], labels: Labels) -> None:
        before, now = set(_places(entry.labels)), set(_places(labels))
        for place in before - now:
            self._items_at[place].discard(item)
            if not self._items_at[place]:
                del self._items_at[place]
        for place in now - before:
            self._items_at[place].add(item)
        entry.labels = labels

    def _set_matches(self, item: Item, entry: _Entry[Item], found: set[Selector]) -> None:
        before, entry.selectors = entry.selectors, found
        for selector in found - before:
            self._matches[selector].add(item)
            self._on_change(selector, item, True)
        for selector in before - found:
            self._matches[selector].discard(item)
            self._on_change(selector, item, False)

    def _leave(self, parent: str, item: Item) -> None:
        self._children[parent].discard(item)
        if not self._children[parent]:
            del self._children[parent]


def _places(labels: Labels) -> Iterator[Anchor]:
    for key, value in labels.items():
        yield (key, value)
        yield (key, None)


def _placed(selector: Selector) -> frozenset[Anchor | None]:
    anchors = _anchors(selector.root)
    return frozenset({None}) if anchors is None else frozenset(anchors)


def _anchors(node: Node) -> frozenset[Anchor] | None:
    """Labels of which an item must have one to match; None where none is needed."""
    match node:
        case Comparison(label, "==", value):
            return frozenset({(label, value)})
        case Comparison(label, "contains" | "starts with" | "ends with"):
            return frozenset({(label, None)})
        case Membership(label, values, True):
            return frozenset((label, value) for value in values)
        case Has(label):
            return frozenset({(label, None)})
        case And(operands):
            known = [found for it in operands if (found := _anchors(it)) is not None]
            return min(known, key=_rank, default=None)
        case Or(operands):
            each = [_anchors(it) for it in operands]
            return None if None in each else frozenset().union(*(it for it in each if it is not None))
    return None


def _rank(anchors: frozenset[Anchor]) -> tuple[bool, bool, int]:
    """The lower, the fewer items are to be expected."""
    any_value = any(value is None for _, value in anchors)
    return (any(label.startswith(_EVERYWHERE) for label, _ in anchors), any_value, len(anchors))
