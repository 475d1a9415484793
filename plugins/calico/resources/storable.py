"""The check that a document can be stored and read again, by JSON's rules and those of its readers.

What breaks them would, once stored, make every answer with this object in it fail, for all clients: half a
character, an integer beyond 64 bits, NaN, nesting without end, and more than etcd takes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from calico.resources.refusals import Refusal

DEPTH_MAX = 100
"""As the API server has it for what it is sent."""
BYTES_MAX = 3 * 512 * 1024
"""The largest request that etcd takes by default."""
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1


def refusals(document: Mapping[str, Any]) -> Iterator[Refusal]:
    """Yield every value that cannot be stored, with its path; at last the document, if it is too large."""
    found = list(_faults(document, "", DEPTH_MAX))
    yield from found
    if not found and (size := len(json.dumps(document))) > BYTES_MAX:
        yield Refusal("spec", f"the resource may not be more than {BYTES_MAX} bytes", f"{size} bytes")


def _faults(value: Any, path: str, depth: int) -> Iterator[Refusal]:
    if isinstance(value, Mapping | list | tuple) and not depth:
        yield Refusal(path[:DEPTH_MAX], f"is nested more than {DEPTH_MAX} deep")
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if not _is_unicode(name):
                yield Refusal(path, "must have keys of text in Unicode", ascii(name))
            yield from _faults(item, f"{path}.{name}".lstrip("."), depth - 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _faults(item, f"{path}[{index}]", depth - 1)
    elif isinstance(value, str) and not _is_unicode(value):
        yield Refusal(path, "must be text in Unicode", ascii(value))
    elif isinstance(value, int) and not INTEGER_MIN <= value <= INTEGER_MAX:
        yield Refusal(path, "must be an integer of 64 bits", "an integer beyond them")
    elif isinstance(value, float) and not math.isfinite(value):
        yield Refusal(path, "must be a number", str(value))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
