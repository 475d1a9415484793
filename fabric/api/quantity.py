"""Quantities: `250m`, `1.5Gi`, `12e6` as exact decimals (k8s.io/apimachinery/pkg/api/resource)."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

DIGITS_MAX = 256
"""On each side of the point: what has been read is remembered, and must not be a client's megabyte."""
_DIGITS = f"[0-9]{{1,{DIGITS_MAX}}}"
_QUANTITY = re.compile(
    rf"([+-]?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS}))([A-Za-z]{{0,2}}|[eE][+-]?[0-9]{{1,3}})"
)
_SUFFIXES = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}


@lru_cache(4096)
def parse_quantity(text: str | int | float | Decimal) -> Decimal:
    """Read a quantity; ValueError when it is none. Numbers are taken as they print."""
    found = _QUANTITY.fullmatch(str(text).strip())
    if found is None:
        raise ValueError(f"{text!r} is not a quantity (such as 250m, 1.5Gi or 2)")
    number, suffix = found.groups()
    scale = _SUFFIXES.get(suffix)
    if scale is not None:
        return Decimal(number) * scale
    if len(suffix) > 1 and suffix[0] in "eE":
        return Decimal(number).scaleb(int(suffix[1:]))
    raise ValueError(
        f"{text!r} has the unknown suffix {suffix!r} (allowed: {' '.join(filter(None, _SUFFIXES))})"
    )
