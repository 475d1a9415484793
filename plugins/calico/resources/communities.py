"""BGP communities as Calico writes them: `aa:nn`, and the large `aa:nn:mm`."""

from __future__ import annotations

import re
from typing import TypeGuard

FORM = "must be of the form `aa:nn` or `aa:nn:mm`"
_COMMUNITY = re.compile(r"(\d{1,5}):(\d{1,5})|(\d{1,10}):(\d{1,10}):(\d{1,10})", re.ASCII)


def is_community(value: object) -> TypeGuard[str]:
    """True for two numbers of 16 bits, or three of 32."""
    match = _COMMUNITY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return False
    numbers = [int(part) for part in match.groups() if part is not None]
    return all(number < 2 ** (16 if len(numbers) == 2 else 32) for number in numbers)
