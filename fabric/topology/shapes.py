"""The shape of a link is its rate, delay, loss and MTU, and the queueing discipline that makes Linux do it.

Each end shapes what leaves it, so a link's figures hold for each direction: a delay of 10 ms makes a round
trip 20 ms longer. A rate alone is a token bucket; with delay, jitter, loss or reordering netem does it all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from fabric.netstate.objects import Qdisc
from fabric.netstate.qdiscs import RATE_MAX, rate_text

RATE_MIN = 8_000
DELAY_US_MAX = 60 * 10**6
_BURST_SECONDS = 0.004
_LATENCY_US = 50_000
_FRAME_HEAD_BYTES = 18
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([KMG]?)bit")
_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?)(us|ms|s)")
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]{1,4})?)%")
_RATE_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
_TIME_UNITS = {"us": 1, "ms": 10**3, "s": 10**6}
_PPM_OF_PERCENT = 10_000
_LARGE = 2.0**63
_RATES = f"must be {rate_text(RATE_MIN)} to {rate_text(RATE_MAX // 10**9 * 10**9)}"


@dataclass(frozen=True, slots=True)
class Shape:
    """The attributes of a link; 0 is none, and leaves packets alone."""

    mtu: int = 1500
    rate: int = 0
    """Bits per second, each way."""
    delay_us: int = 0
    jitter_us: int = 0
    loss_ppm: int = 0
    """Packets of a million."""
    reorder_ppm: int = 0
    queue: Literal["tbf", "htb"] = "tbf"
    """What keeps the rate where there is nothing else to do."""

    @property
    def needs_netem(self) -> bool:
        """True when the kernel must have sch_netem for it."""
        return bool(self.delay_us or self.jitter_us or self.loss_ppm or self.reorder_ppm)

    def qdisc(self, dev: str) -> Qdisc | None:
        """Return the root queue that gives a device this shape; None where it needs none."""
        if self.needs_netem:
            return Qdisc(
                dev,
                "netem",
                rate=self.rate,
                delay_us=self.delay_us,
                jitter_us=self.jitter_us,
                loss_ppm=self.loss_ppm,
                reorder_ppm=self.reorder_ppm,
            )
        if not self.rate:
            return None
        burst = max(2 * (self.mtu + _FRAME_HEAD_BYTES), int(self.rate / 8 * _BURST_SECONDS))
        return Qdisc(dev, self.queue, self.rate, burst, _LATENCY_US if self.queue == "tbf" else 0)

    def __str__(self) -> str:
        """Print the shape as a file has it: `rate 100Mbit delay 10ms`; empty when it changes nothing."""
        words = (
            f"rate {rate_text(self.rate)}" if self.rate else "",
            f"delay {_time(self.delay_us)}" if self.delay_us else "",
            f"jitter {_time(self.jitter_us)}" if self.jitter_us else "",
            f"loss {_percent(self.loss_ppm)}" if self.loss_ppm else "",
            f"reorder {_percent(self.reorder_ppm)}" if self.reorder_ppm else "",
        )
        return " ".join(filter(None, words))


def shape(value: Mapping[str, Any], default: Shape) -> Shape:
    """Return the shape that a topology's link asks for; ValueError (key, sentence) for what it cannot be."""
    found = replace(
        default,
        mtu=value.get("mtu", default.mtu),
        rate=rate_of(value["rate"]) if "rate" in value else default.rate,
        delay_us=microseconds_of(value["delay"]) if "delay" in value else default.delay_us,
        jitter_us=microseconds_of(value["jitter"]) if "jitter" in value else default.jitter_us,
        loss_ppm=ppm_of(value["loss"]) if "loss" in value else default.loss_ppm,
        reorder_ppm=ppm_of(value["reorder"]) if "reorder" in value else default.reorder_ppm,
        queue=value.get("queue", default.queue),
    )
    if found.rate and not RATE_MIN <= found.rate <= RATE_MAX:
        raise ValueError("rate", _RATES)
    for key, us in (("delay", found.delay_us), ("jitter", found.jitter_us)):
        if us > DELAY_US_MAX:
            raise ValueError(key, f"is longer than {DELAY_US_MAX // 10**6} s")
    if found.jitter_us > found.delay_us:
        raise ValueError("jitter", "is more than the delay that it varies")
    if found.reorder_ppm and not found.delay_us:
        raise ValueError("reorder", "needs a delay: packets overtake those that wait")
    if max(found.loss_ppm, found.reorder_ppm) > 10**6:
        raise ValueError("loss" if found.loss_ppm > 10**6 else "reorder", "is more than 100%")
    return found


def rate_of(text: str) -> int:
    """Return bits per second: `100Mbit`, `1.5Gbit`."""
    number, unit = _parts(_RATE, text, "rate", "100Mbit")
    return _rounded(number, _RATE_UNITS[unit])


def microseconds_of(text: str) -> int:
    """Return microseconds: `20ms`, `500us`, `1.5s`."""
    number, unit = _parts(_TIME, text, "delay", "20ms")
    return _rounded(number, _TIME_UNITS[unit])


def ppm_of(text: str) -> int:
    """Return parts of a million: `0.1%`."""
    (number,) = _parts(_SHARE, text, "loss", "0.1%")
    return _rounded(number, _PPM_OF_PERCENT)


def _rounded(number: str, unit: int) -> int:
    """Return a whole number of units; what is larger than all that a link can have stays so."""
    return round(min(float(number) * unit, _LARGE))


def _parts(pattern: re.Pattern[str], text: str, key: str, example: str) -> tuple[str, ...]:
    found = pattern.fullmatch(text)
    if found is None:
        raise ValueError(key, f"is {text!r}; write it as {example}")
    return found.groups()


def _time(us: int) -> str:
    return f"{us / 1000:.10g}ms" if us >= 1000 else f"{us}us"


def _percent(ppm: int) -> str:
    return f"{ppm / _PPM_OF_PERCENT:.10g}%"
