"""The text of `ipset save` read into sets, and steps written as `ipset restore` takes them.

A changed set is filled under another name and swapped in, so that no packet meets a half-filled set; a small
change of a known set is written as the few members that come and go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from fabric.netstate.members import difference
from fabric.netstate.plan import Step
from fabric.netstate.rules import Family, IpSet

MEMBERS_MAX = 1_048_576
_SPARE = "fabric-spare"


def names(text: str) -> frozenset[str]:
    """Return the names of all sets in the output of `ipset save`, the spare of a cut-off rewrite too."""
    lines = (line.split() for line in text.splitlines())
    return frozenset(words[1] for words in lines if words[:1] == ["create"])


def parse(text: str) -> Iterator[IpSet]:
    """Read the output of `ipset save`."""
    heads: dict[str, tuple[str, Family]] = {}
    members: dict[str, set[str]] = {}
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["create"]:
            heads[words[1]] = (words[2], 6 if words[3:5] == ["family", "inet6"] else 4)
            members[words[1]] = set()
        elif words[:1] == ["add"]:
            members[words[1]].add(" ".join(words[2:]))
    for name, (kind, family) in heads.items():
        if name != _SPARE:
            yield IpSet(name, kind, family, frozenset(members[name]))


def compose(steps: Sequence[Step], there: Collection[str]) -> str:
    """Return the text for `ipset restore`; `there` are the names of the sets that exist.

    An add of what is there is left out: the caller has seen that it is there to the letter.
    """
    lines: list[str] = [f"destroy {_SPARE}"] if _SPARE in there else []
    for step in steps:
        it = step.obj
        assert isinstance(it, IpSet)
        if step.verb == "delete":
            lines += [f"destroy {it.name}"] if it.name in there else []
        elif step.verb == "add":
            lines += _filled(it.name, it) if it.name not in there else []
        else:
            lines += _changed(it, step.old if isinstance(step.old, IpSet) else it)
    return "".join(f"{line}\n" for line in lines)


def _changed(it: IpSet, old: IpSet) -> Iterable[str]:
    if (it.type, it.family) != (old.type, old.family):
        return [f"destroy {it.name}", *_filled(it.name, it)]
    come, go = difference(it.members, old.members)
    if (len(come) + len(go)) * 2 < len(it.members):
        deletes = [f"del {it.name} {member} -exist" for member in sorted(go)]
        return deletes + [f"add {it.name} {member} -exist" for member in sorted(come)]
    return [*_filled(_SPARE, it), f"swap {_SPARE} {it.name}", f"destroy {_SPARE}"]


def _filled(name: str, it: IpSet) -> Iterable[str]:
    if it.type.startswith("bitmap:"):
        options = " range 0-65535" if it.type == "bitmap:port" else ""
    elif it.type.startswith("list:"):
        options = ""
    else:
        options = f" family inet{'6' * (it.family == 6)} maxelem {MEMBERS_MAX}"
    return [f"create {name} {it.type}{options}", *(f"add {name} {member}" for member in sorted(it.members))]
