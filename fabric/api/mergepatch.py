"""JSON merge patch (RFC 7386): null removes, objects merge, all else replaces."""

from __future__ import annotations

from typing import Any


def merge_patched(target: Any, patch: Any) -> Any:
    """Return the target with the patch applied; shares what the patch leaves alone."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = merge_patched(result.get(name), value)
        else:
            result[name] = value
    return result
