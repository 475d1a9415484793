"""Live links: a cable is pulled or put back, or does other things to packets, while the cluster runs.

Level-triggered: a change is written into the spec, where the underlay's loops find it, and where it stays
until the next `fabric up`, which is the file again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from fabric.cluster import spec as specs
from fabric.cluster.lock import held
from fabric.cluster.lookup import need_spec
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.runtimes import host_pids
from fabric.cluster.underlay.drift import drift
from fabric.cluster.underlay.spec import LinkChange
from fabric.cluster.underlay.state import Underlay
from fabric.errors import BadInput, FabricError, Problem, plural
from fabric.kernel.features import probe
from fabric.topology.shapes import Shape, shape
from fabric.topology.underlay_schema import SHAPE
from fabric.topology.wiring import Link, Wiring

Alter = Callable[[Link], Link]
POLL_SECONDS, APPLIED_SECONDS_MAX = 0.05, 10.0


def between(wiring: Wiring, a: str, b: str, number: int = 0) -> list[Link]:
    """Return the links of two devices, or the one of that number; BadInput names what there is."""
    for at, name in (("A", a), ("B", b)):
        if name not in wiring:
            known = ", ".join(it.name for it in wiring.of_role("host", "switch", "router"))
            raise BadInput(Problem(at, f"no device {name!r}; there: {known}"))
    found = [it for it in wiring.links_of(a) if it.other(a) == b]
    if not found:
        near = ", ".join(wiring.neighbors(a))
        raise BadInput(Problem("B", f"no link between {a} and {b}; {a} is linked to {near}"))
    if number and number not in {it.number for it in found}:
        raise BadInput(Problem("--number", f"{a} and {b} have {plural(len(found), 'link')}, numbered from 1"))
    return [it for it in found if number in (0, it.number)]


def shaped(now: Shape, words: Iterable[str]) -> Shape:
    """Return a shape with `key=value` words as a file has them; `key=none` takes one away.

    BadInput names the word that cannot be.
    """
    value: dict[str, Any] = {}
    for word in words:
        key, sign, text = word.rstrip(",").partition("=")
        if not sign and key in _NONE:
            raise BadInput(Problem(word, f"no value; write {key}=VALUE, or {key}=none to take it away"))
        if key not in _NONE:
            raise BadInput(Problem(word, f"not an attribute of a link; allowed: {'=…, '.join(_NONE)}=…"))
        value[key] = _NONE[key] if text == "none" else text
    try:
        return shape(_checked(value), now)
    except ValueError as error:
        key, what = error.args
        raise BadInput(Problem(f"{key}={value.get(key, '')}", f"{key} {what}")) from None


_NONE: Mapping[str, str] = {
    "mtu": "1500",
    "rate": "0bit",
    "queue": "tbf",
    "delay": "0us",
    "jitter": "0us",
    "loss": "0%",
    "reorder": "0%",
}
"""Every attribute, with the value that leaves packets alone."""


def _checked(value: Mapping[str, str]) -> dict[str, Any]:
    """The values as a file's schema lets them through; ValueError (key, sentence)."""
    least, most = SHAPE["mtu"]["minimum"], SHAPE["mtu"]["maximum"]
    mtu, queue = value.get("mtu"), value.get("queue", "tbf")
    if mtu is not None and not (mtu.isdecimal() and least <= int(mtu) <= most):
        raise ValueError("mtu", f"is {mtu!r}; allowed: {least} to {most}")
    if queue not in SHAPE["queue"]["enum"]:
        raise ValueError("queue", f"is {queue!r}; allowed: {', '.join(SHAPE['queue']['enum'])}")
    return dict(value) | ({"mtu": int(mtu)} if mtu else {})


def change(paths: ClusterPaths, a: str, b: str, number: int, alter: Alter) -> list[Link]:
    """Alter the links of two devices in the spec; return them as they shall be.

    `alter` gets a link as it is and returns it as it shall be.
    """
    with held(paths.lock):
        spec = need_spec(paths)
        wiring = spec.underlay.wiring()
        wanted = [alter(it) for it in between(wiring, a, b, number)]
        _refuse_what_the_kernel_lacks(wanted)
        of_file = {it.name: it for it in spec.underlay.links}
        changes = dict(spec.underlay.changes)
        for link in wanted:
            changes[link.name] = LinkChange(link.up, link.shape)
            if link == of_file[link.name]:
                del changes[link.name]
        underlay = msgspec.structs.replace(spec.underlay, changes=changes)
        specs.write(paths.spec, msgspec.structs.replace(spec, underlay=underlay))
    return wanted


async def applied(paths: ClusterPaths, names: Iterable[str]) -> None:
    """Wait until these namespaces are as the spec says; FabricError after ten seconds."""
    spec = need_spec(paths)
    underlay = Underlay.of(spec)
    wanted = set(names)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + APPLIED_SECONDS_MAX
    while True:
        late = await drift(underlay, await host_pids(paths, spec.workers), wanted)
        if not late:
            return
        if loop.time() > deadline:
            raise FabricError(
                f"{', '.join(sorted(late))} is not as the spec says after {APPLIED_SECONDS_MAX:.0f} s; "
                f"it will be tried again: see {paths.logs}/underlay.log"
            )
        await asyncio.sleep(POLL_SECONDS)


def _refuse_what_the_kernel_lacks(wanted: Sequence[Link]) -> None:
    needed = {queue.kind for it in wanted if (queue := it.shape.qdisc("eth0"))} & {"netem", "tbf"}
    lacking = [it for it in probe(needed).values() if not it.present]
    if lacking:
        it = lacking[0]
        raise FabricError(
            f"link {wanted[0].name} with {wanted[0].shape} needs sch_{it.name}, and this kernel has none "
            f"({it.detail}); {it.remedy}"
        )
