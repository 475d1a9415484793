"""The program `ipip-carrier DEVICE`: what Linux' ipip driver does, in user space, for kernels that have none.

A packet that the kernel routes to the TUN device comes out here, and leaves as protocol 4 for the gateway of
its route; a packet of protocol 4 that reaches this node loses its outer header and comes in through the
device. The kernel does the rest: it routes both, fills in the outer source, reassembles, filters. The
device is somebody else's and stays when this ends, so its routes stay; while there is none, this waits.

A packet for no gateway is answered with ICMP host unreachable, one that does not fit and must not be
fragmented with ICMP fragmentation needed. Other refusals drop it, as a wire would.
"""

from __future__ import annotations

import errno
import os
import select
import sys
import time

from fabric.runtime.builtin import ipip, tundevice
from fabric.runtime.builtin.complaints import Complaints
from fabric.runtime.builtin.outer import Outer
from fabric.runtime.builtin.routes import Routes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

    from fabric.runtime.builtin.routes import Hop

PROGRAM = "ipip-carrier"
_TURN_PACKETS_MAX = 64
"""From one side before the other has its turn."""
_BUSY_SECONDS, _BUSY_LOOKS = 0.1, 10
"""Between two looks at a device that another carries; whoever makes one does for a moment, so it is not said
before the tenth."""
_REASONS = {
    errno.ENODEV: "there is no such device",
    errno.EBUSY: "another program carries it",
    errno.EINVAL: "it is no TUN device",
}
_PACKET_BYTES_MAX = 1 << 16
_HEAD = ipip.HEADER_BYTES


def main(argv: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Carry for ever; exit 2 when the arguments are wrong, 1 when this machine cannot."""
    if len(argv) != 1 or not argv[0]:
        _say(f"usage: {PROGRAM} DEVICE")
        os._exit(2)
    try:
        carrier = Carrier(argv[0])
        while True:
            carrier.run_once()
    except OSError as error:
        _say(f"it cannot go on: {error}")
        os._exit(1)


class Carrier:
    """The tunnel's two sockets in this network namespace, and its TUN device while there is one."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._tun = -1
        self._state = ""
        """What was said last."""
        self._retry_seconds: float | None = None
        self._busy_looks = 0
        self._routes = Routes()
        self._outer = Outer(self._routes.learn)
        self._complaints = Complaints()
        self._identifications = ipip.Identifications()
        self._out = bytearray(_HEAD + _PACKET_BYTES_MAX)
        self._in = bytearray(_PACKET_BYTES_MAX)
        self._poll = select.epoll()
        self._poll.register(self._routes.news, select.EPOLLIN)
        self._poll.register(self._outer, select.EPOLLIN)
        self._attach()

    def run_once(self) -> None:
        """Wait for what is ready, and serve each of it for a while; news of the routes come first."""
        ready = dict(self._poll.poll(self._retry_seconds))
        if self._routes.news.fileno() in ready:
            self._routes.look()
            if self._tun >= 0 and not tundevice.is_attached(self._tun):
                self._detach()
        if self._tun < 0:
            self._attach()
        self._routes.expire()
        if self._tun in ready:
            self._carry_out()
        events = ready.get(self._outer.fileno(), 0)
        if events & select.EPOLLERR:
            self._outer.heed()
        if events & select.EPOLLIN:
            self._carry_in()

    def _attach(self) -> None:
        """Carry the device if it can be now; else say why not, once, and try again when there is news."""
        try:
            self._tun, self._routes.device = tundevice.attach(self._device)
        except OSError as error:
            self._look_again(error)
            return
        self._retry_seconds, self._busy_looks = None, 0
        self._routes.look()
        self._poll.register(self._tun, select.EPOLLIN)
        self._note(f"{self._device} is carried")

    def _look_again(self, error: OSError) -> None:
        busy = error.errno == errno.EBUSY
        self._retry_seconds = _BUSY_SECONDS if busy else None
        self._busy_looks = self._busy_looks + 1 if busy else 0
        if not 0 < self._busy_looks < _BUSY_LOOKS:
            reason = _REASONS.get(error.errno or 0, str(error))
            self._note(f"{self._device} is not carried: {reason}")

    def _detach(self) -> None:
        os.close(self._tun)
        self._tun = -1

    def _note(self, state: str) -> None:
        """Say what is new."""
        if state != self._state:
            self._state = state
            _say(state)

    def _carry_out(self) -> None:
        """Send what the kernel gave to the device."""
        packet, view = self._out, memoryview(self._out)
        room = [view[_HEAD:]]
        for _ in range(_TURN_PACKETS_MAX):
            try:
                size = os.readv(self._tun, room)
            except BlockingIOError:
                return
            except OSError:
                self._detach()
                return
            if size < ipip.HEADER_BYTES or packet[_HEAD] >> 4 != 4:
                continue
            hop = self._routes.hop(bytes(view[_HEAD + 16 : _HEAD + 20]))
            if hop is None:
                self._complaints.tell(ipip.HOST_UNREACHABLE, view[_HEAD : _HEAD + size])
                continue
            ipip.fill_header(packet, hop.gateway, self._identifications.next(hop.gateway))
            mtu = self._outer.send(view[: _HEAD + size], hop)
            if mtu:
                self._carry_large(view[: _HEAD + size], hop, mtu)

    def _carry_large(self, packet: memoryview, hop: Hop, mtu: int) -> None:
        """Fragment what is longer than the way to the gateway takes, or tell its sender."""
        inner = packet[_HEAD:]
        if not ipip.may_fragment(inner):
            self._complaints.tell(ipip.FRAGMENTATION_NEEDED, inner, mtu - _HEAD)
            return
        for fragment in ipip.fragments(packet, mtu):
            self._outer.send(fragment, hop)

    def _carry_in(self) -> None:
        """Give to the kernel what came with protocol 4; without a device it is lost."""
        view = memoryview(self._in)
        for _ in range(_TURN_PACKETS_MAX):
            size = self._outer.receive(view)
            if not size:
                return
            inner = ipip.strip(view, size)
            if inner is None or self._tun < 0:
                continue
            try:
                os.write(self._tun, inner)
            except OSError as error:
                if error.errno == errno.EBADFD:
                    self._detach()


def _say(text: str) -> None:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    os.write(2, f"{stamp} {PROGRAM}: {text}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
