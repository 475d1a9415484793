"""The queueing discipline of a device as a frozen value: what `tc qdisc show` prints of its root.

Linux counts a bucket in ticks of 64 ns and a queue in bytes; a `Qdisc` holds what Linux keeps of the figures
it was given, so that what is read back equals what was asked for.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

TICK_NS = 64
RATE_MAX = 8 * (2**32 - 1)
"""Bits per second that a rate of 32 bits can say."""
_NS, _US = 10**9, 10**6
_MILLION = 10**6
_TICKS_MAX = 2**32 - 1
_BYTES_MAX = 2**31 - 1
"""Bucket and queue together have 32 bits."""


@dataclass(frozen=True, slots=True)
class Qdisc:
    """The root queue of a device: what leaves it is slowed, delayed, lost or reordered.

    `tbf` takes rate, burst and latency; `htb` has one class, the default one, with rate and burst; `netem`
    takes all but burst and latency.
    """

    dev: str
    kind: Literal["tbf", "htb", "netem"]
    rate: int = 0
    """Bits per second, a multiple of 8; 0 with netem: as fast as it goes."""
    burst: int = 0
    """Bytes that may leave at once."""
    latency_us: int = 0
    """The longest that a packet waits in a tbf; what would wait longer is dropped."""
    delay_us: int = 0
    jitter_us: int = 0
    loss_ppm: int = 0
    """Packets lost of a million."""
    reorder_ppm: int = 0
    """Packets of a million that leave at once, before those that are delayed; Linux needs a delay for it."""

    def __post_init__(self) -> None:
        """Write what Linux keeps: whole bytes a second, whole ticks of a bucket, whole bytes of a queue."""
        object.__setattr__(self, "rate", self.rate - self.rate % 8)
        if self.kind != "netem" and self.rate > 0:
            object.__setattr__(self, "burst", bytes_of(self.rate, ticks_of(self.rate, self.burst)))
            object.__setattr__(self, "latency_us", wait_of(self.rate, queue_of(self.rate, self.latency_us)))

    @property
    def key(self) -> Hashable:
        return ("qdisc", self.dev)

    def __str__(self) -> str:
        words = [
            f" delay {_time(self.delay_us)}" if self.delay_us else "",
            f" jitter {_time(self.jitter_us)}" if self.jitter_us else "",
            f" loss {_percent(self.loss_ppm)}" if self.loss_ppm else "",
            f" reorder {_percent(self.reorder_ppm)}" if self.reorder_ppm else "",
            f" rate {rate_text(self.rate)}" if self.rate else "",
            f" burst {size_text(self.burst)}" if self.burst else "",
            f" lat {_time(self.latency_us)}" if self.latency_us else "",
        ]
        return f"qdisc {self.kind} root dev {self.dev}{''.join(words)}"


def ticks_of(rate: int, size: int) -> int:
    """Return the ticks that `size` bytes take at `rate` bits per second, or the most that Linux can say."""
    return min(min(size, _BYTES_MAX) * _NS // (rate // 8 * TICK_NS), _TICKS_MAX)


def bytes_of(rate: int, ticks: int) -> int:
    """Return the bytes that leave in so many ticks: the inverse of `ticks_of`, for what that returned."""
    return -(-ticks * TICK_NS * (rate // 8) // _NS)


def queue_of(rate: int, latency_us: int) -> int:
    """Return the bytes that wait at most so long, or the most that Linux can say."""
    return min(rate // 8 * latency_us // _US, _BYTES_MAX)


def wait_of(rate: int, size: int) -> int:
    """Return the microseconds that so many bytes wait: the inverse of `queue_of`."""
    return -(-size * _US // (rate // 8))


def rate_text(rate: int) -> str:
    """Return a rate as `tc` prints it: 100Mbit, 1500Kbit, 999bit."""
    unit = 0
    while unit < 4 and rate >= 1000 and (rate % 1000 == 0 or rate >= _MILLION):
        rate //= 1000
        unit += 1
    return f"{rate}{('', 'K', 'M', 'G', 'T')[unit]}bit"


def size_text(size: int) -> str:
    """Return a size as `tc` prints it where that loses nothing: 64Kb, 1600b."""
    for unit, name in ((1 << 20, "Mb"), (1 << 10, "Kb")):
        if size >= unit and size % unit == 0:
            return f"{size // unit}{name}"
    return f"{size}b"


def _time(us: int) -> str:
    if us >= _US:
        return f"{us / _US:.10g}s"
    return f"{us / 1000:.10g}ms" if us >= 1000 else f"{us}us"


def _percent(ppm: int) -> str:
    return f"{ppm / 10_000:.10g}%"
