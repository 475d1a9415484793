"""Devices, addresses, routes, neighbours and forwarding entries of a plan, written by netlink.

Requests gather until a step needs the index of a device that an earlier one makes; then all go out in one
send. After a refusal the requests behind it in the same send are done all the same: the caller reads again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping

from fabric.errors import KernelRefused
from fabric.kernel import addresses, links, neighbors, qdiscs, routes
from fabric.kernel.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NetlinkError, Request, Socket
from fabric.netstate.objects import (
    Address,
    Bridge,
    FdbEntry,
    Ipip,
    Link,
    LinkMac,
    LinkMtu,
    LinkUp,
    Neighbor,
    NetObject,
    NetState,
    Qdisc,
    Route,
    Tun,
    Veth,
    Vxlan,
)
from fabric.netstate.plan import Step, matches

NETLINK_KINDS = (
    *(Bridge, Veth, Vxlan, Ipip, Tun, LinkUp, LinkMtu, LinkMac),
    *(Address, Route, Neighbor, FdbEntry, Qdisc),
)
_GONE = {errno.ENODEV, errno.ESRCH, errno.ENOENT, errno.EADDRNOTAVAIL, errno.ENXIO}
_ADD, _REPLACE = NLM_F_CREATE | NLM_F_EXCL, NLM_F_CREATE | NLM_F_REPLACE


def refusal(namespace: str, step: object, error: OSError, value: str = "") -> KernelRefused:
    """Return the error that names the namespace, the step, the value of it that was refused, the errno."""
    name = errno.errorcode.get(error.errno or 0, str(error.errno))
    more = error.detail if isinstance(error, NetlinkError) else error.filename
    detail = f": {more}" if more else ""
    what = str(step).split("\n", 1)[0] + (f": {value}" if value else "")
    return KernelRefused(f"{namespace}: {what}: {error.strerror} ({name}){detail}")


class Writer:
    """A writer carries out the netlink steps of one plan in one namespace."""

    def __init__(
        self,
        namespace: str,
        socket: Socket,
        pids: Mapping[str, int],
        read: Callable[[type], NetState],
        make_tun: Callable[[str], None],
    ) -> None:
        self._namespace = namespace
        self._socket = socket
        self._pids = pids
        self._read = read
        self._make_tun = make_tun
        self._pending: list[tuple[Step, Request]] = []
        self._links_pending = False
        self._tunnels: set[str] = set()

    def write(self, steps: Iterable[Step]) -> None:
        """Carry out the steps in order; KernelRefused names the first that Linux refused."""
        deletions: list[Step] = []
        for step in steps:
            if step.verb == "delete" and isinstance(step.obj, Link) and not isinstance(step.obj, Ipip):
                deletions.append(step)
                continue
            self._delete_devices(deletions)
            deletions = []
            self._add(step)
        self._delete_devices(deletions)
        self._flush()

    def index_of(self, device: str) -> int:
        """Return a device's index, after what is pending for devices has been sent."""
        if self._links_pending:
            self._flush()
        return self._socket.index_of(device)

    def _add(self, step: Step) -> None:
        try:
            for request in self._requests(step):
                self._pending.append((step, request))
        except OSError as error:
            self._flush()
            if step.verb != "delete" or error.errno not in _GONE:
                raise refusal(self._namespace, step, error) from error

    def _delete_devices(self, steps: list[Step]) -> None:
        if not steps:
            return
        if len(steps) == 1:
            self._pending.append((steps[0], links.deletion(_name(steps[0].obj))))
        else:
            self._pending += [(step, links.into_deletion_group(_name(step.obj))) for step in steps]
            self._pending.append((steps[-1], links.group_deletion()))
        self._links_pending = True

    def _requests(self, step: Step) -> Iterator[Request]:
        add = {"add": _ADD, "replace": _REPLACE, "delete": 0}[step.verb]
        delete = step.verb == "delete"
        match step.obj:
            case Bridge() | Veth() | Vxlan() | Ipip() | Tun() as link:
                yield from self._link(step, link)
            case LinkUp(dev=dev):
                yield links.raised(self.index_of(dev), not delete)
            case LinkMtu(dev=dev, mtu=mtu):
                yield links.with_mtu(self.index_of(dev), mtu)
            case LinkMac(dev=dev, mac=mac):
                yield links.with_mac(self.index_of(dev), mac)
            case Address(dev=dev) as it:
                yield addresses.request(
                    it, self.index_of(dev), addresses.RTM_DELADDR if delete else addresses.RTM_NEWADDR, add
                )
            case Neighbor(dev=dev) as it:
                yield neighbors.neighbor(it, self.index_of(dev), _neighbor_type(delete), add)
            case FdbEntry(dev=dev) as it:
                self._require_vxlan(dev)
                yield neighbors.entry(it, self.index_of(dev), _neighbor_type(delete), add)
            case Qdisc(dev=dev) as it:
                yield from qdiscs.requests(it, self.index_of(dev), step.verb, add)
            case Route() as it:
                yield routes.request(
                    it, self.index_of, routes.RTM_DELROUTE if delete else routes.RTM_NEWROUTE, add
                )

    def _link(self, step: Step, link: Link) -> Iterator[Request]:
        if step.verb == "delete":
            yield from self._tunnel_deletion(link)
        elif step.verb == "add" and isinstance(link, Tun):
            self._make(link)
            yield from links.change(link, None, self.index_of)
        elif step.verb == "add":
            if isinstance(link, Veth) and link.peer_ns not in self._pids:
                raise NetlinkError(errno.ESRCH, f"no namespace {link.peer_ns}")
            first, *more = links.creation(link, self.index_of, self._pids)
            yield first
            if isinstance(link, Bridge):
                self._flush()
            yield from more
        else:
            old = step.old if isinstance(step.old, Link) else None
            yield from links.change(link, old, self.index_of)
        self._links_pending = True

    def _make(self, link: Tun) -> None:
        """Make a TUN device unless it is there."""
        self._flush()
        try:
            self._socket.index_of(link.name)
        except OSError:
            self._make_tun(link.name)
        else:
            if not any(matches(link, obj) for obj in self._read(Tun)):
                raise NetlinkError(errno.EEXIST, os.strerror(errno.EEXIST))

    def _tunnel_deletion(self, link: Link) -> Iterator[Request]:
        """Yield the requests that delete a tunnel, or leave the driver's own as before its first use."""
        index = self.index_of(link.name)
        yield links.raised(index, False)
        for it in self._read(Address):
            if isinstance(it, Address) and it.dev == link.name:
                yield addresses.request(it, index, addresses.RTM_DELADDR, 0)
        yield links.deletion(link.name)

    def _require_vxlan(self, device: str) -> None:
        """Refuse what Linux takes and drops: a tunnel's end for a device that has none."""
        if device in self._tunnels:
            return
        (answer,) = self._socket.ask([links.question(self.index_of(device))])
        if isinstance(answer, OSError):
            raise answer
        if links.device(answer[1]).kind != "vxlan":
            raise NetlinkError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        self._tunnels.add(device)

    def _flush(self) -> None:
        pending, self._pending, self._links_pending = self._pending, [], False
        if not pending:
            return
        errors = self._socket.change([request for _, request in pending])
        for (step, request), error in zip(pending, errors, strict=True):
            if error is not None and not self._is_harmless(step, request, error):
                raise refusal(self._namespace, step, error, request.what) from error

    def _is_harmless(self, step: Step, request: Request, error: NetlinkError) -> bool:
        if step.verb == "delete":
            return error.errno in _GONE
        if step.verb != "add" or error.errno != errno.EEXIST:
            return False
        if isinstance(step.obj, Ipip) and step.obj.is_open:
            return self._adopt(step, step.obj)
        there = {obj for obj in self._read(type(step.obj)) if obj.key == step.obj.key}
        if not there and isinstance(step.obj, Neighbor | FdbEntry):
            return self._socket.change([Request(request.type, _REPLACE, request.body)]) == [None]
        return any(matches(step.obj, obj) for obj in there)

    def _adopt(self, step: Step, tunnel: Ipip) -> bool:
        """Give the driver's own device the values of `tunnel`; False when that name is another device's."""
        found = [
            it for it in links.devices(self._socket) if it.name == tunnel.name and links.is_open_ipip(it)
        ]
        if not found:
            return False
        requests = links.change(tunnel, None, self.index_of)
        for request, error in zip(requests, self._socket.change(requests), strict=True):
            if error is not None:
                raise refusal(self._namespace, step, error, request.what) from error
        return True


def _name(obj: NetObject) -> str:
    assert isinstance(obj, Link)
    return obj.name


def _neighbor_type(delete: bool) -> int:
    return neighbors.RTM_DELNEIGH if delete else neighbors.RTM_NEWNEIGH
