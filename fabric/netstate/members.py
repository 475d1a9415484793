"""The members of an ipset are versions of one history: the difference of two costs no look at all members.

A set of 10,000 members is shared by all agents of a process; one member more makes a new version of it, and
each agent asks for the difference to the version that it wrote last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Set

_LOG_LENGTH_MIN = 1024


class _History:
    """The newest version's members, and each change that led to them."""

    __slots__ = ("log", "members")

    def __init__(self, members: set[str]) -> None:
        self.members = members
        self.log: list[tuple[str, bool]] = []
        """Member, and True when it came; one that came goes before it comes again."""


class Members(Set[str]):
    """A version of a set: equal to any set with the same members, and never changed."""

    __slots__ = ("_history", "_length", "_version")

    def __init__(self, members: Iterable[str] = ()) -> None:
        self._history = _History(set(members))
        self._version = 0
        self._length = len(self._history.members)

    def changed(self, come: Iterable[str] = (), go: Iterable[str] = ()) -> Members:
        """Return the version with some members more and some fewer."""
        history = self._history
        if self._version != len(history.log) or len(history.log) > max(_LOG_LENGTH_MIN, len(history.members)):
            return Members(self._all()).changed(come, go) if history.log else self
        for member in go:
            if member in history.members:
                history.members.discard(member)
                history.log.append((member, False))
        for member in come:
            if member not in history.members:
                history.members.add(member)
                history.log.append((member, True))
        newer = Members.__new__(Members)
        newer._history, newer._version, newer._length = history, len(history.log), len(history.members)
        return newer

    def since(self, old: Set[str]) -> tuple[frozenset[str], frozenset[str]]:
        """Return the members that came since `old` and those that went."""
        if not isinstance(old, Members) or old._history is not self._history:
            return frozenset(self._all() - set(old)), frozenset(set(old) - self._all())
        low, high = sorted((old._version, self._version))
        first: dict[str, bool] = {}
        for member, came in self._history.log[low:high]:
            if first.setdefault(member, came) != came:
                del first[member]
        come = frozenset(member for member, came in first.items() if came)
        go = frozenset(first.keys() - come)
        return (come, go) if old._version <= self._version else (go, come)

    def __contains__(self, member: object) -> bool:
        return member in self._all()

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return self._length

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Members) and other._history is self._history:
            return self._length == other._length and not any(self.since(other))
        if not isinstance(other, Set):
            return NotImplemented
        return len(other) == self._length and self._all() == set(other)

    def __hash__(self) -> int:
        return self._hash()

    def __repr__(self) -> str:
        return f"Members({sorted(self)})"

    @classmethod
    def _from_iterable(cls, it: Iterable[str]) -> frozenset[str]:  # type: ignore[override]
        return frozenset(it)

    def _all(self) -> set[str]:
        """The members of this version; not to be changed."""
        if self._version == len(self._history.log):
            return self._history.members
        members = set(self._history.members)
        for member, came in reversed(self._history.log[self._version :]):
            (members.discard if came else members.add)(member)
        return members


def difference(new: Set[str], old: Set[str]) -> tuple[Collection[str], Collection[str]]:
    """Return the members of `new` that are not in `old`, and those of `old` that are not in `new`."""
    if isinstance(new, Members):
        return new.since(old)
    if isinstance(old, Members):
        gone, came = old.since(new)
        return came, gone
    return frozenset(new - old), frozenset(old - new)
