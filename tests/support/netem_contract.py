"""What the kernel port promises of netem, for the fake and for a kernel that has it; see `case_contract`."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import ClassVar

from fabric.netstate.objects import Qdisc
from support.case_contract import CaseContract
from support.kernel_cases import LAN, RoundTrip
from support.kernel_refusals import Refusal, add

NETEM = Qdisc("br0", "netem", 10**8, 0, 0, 20_000, 5_000, 12_345, 250_000)


class NetemContract(CaseContract):
    round_trips: ClassVar[Mapping[str, RoundTrip]] = {
        "netem": (LAN, (NETEM,)),
        "netem-delay": (LAN, (Qdisc("br0", "netem", delay_us=7),)),
        "netem-loss": (LAN, (Qdisc("br0", "netem", loss_ppm=1_000_000),)),
    }
    refusals: ClassVar[Mapping[str, Refusal]] = {
        "netem-of-another-delay": Refusal(
            LAN | {NETEM}, add(Qdisc("br0", "netem", delay_us=7)), errno.EEXIST
        ),
    }
    changes = (
        (NETEM, Qdisc("br0", "netem", delay_us=7)),
        (NETEM, Qdisc("br0", "netem", loss_ppm=1_000_000)),
        (NETEM, Qdisc("br0", "tbf", 8_000_000, 9000, 1000)),
        (Qdisc("br0", "htb", 8_000_000, 9000), NETEM),
    )
