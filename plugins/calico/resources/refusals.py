"""A refusal tells what is wrong with a resource: path, value, and what is allowed, in Calico's words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fabric.errors import Invalid

_SHOWN_CHARACTERS_MAX = 60


@dataclass(frozen=True, slots=True)
class Refusal:
    """A field that cannot be as it is."""

    path: str
    """As in the resource's YAML: `spec.blockSize`, `spec.importV4[0].action`."""
    reason: str
    value: object = ""

    def __str__(self) -> str:
        return f"{self.path} = '{_text(self.value)}' ({self.reason})"

    @property
    def reason_with_value(self) -> str:
        """The value as JSON, and what is wrong with it, where the path is said already."""
        if self.value is None or self.value == "":
            return self.reason
        shown = json.dumps(self.value, ensure_ascii=False, default=str)
        if len(shown) > _SHOWN_CHARACTERS_MAX:
            shown = shown[: _SHOWN_CHARACTERS_MAX - 1] + "…"
        return f"{shown} ({self.reason})"


class InvalidResource(Invalid):
    """A resource breaks rules; carries every refusal, reads as Calico's ErrorValidation."""

    def __init__(self, kind: str, name: str, refusals: Sequence[Refusal]) -> None:
        lines = [f"{kind}.{refusal}" for refusal in refusals]
        if len(lines) == 1:
            message = f"error with field {lines[0]}"
        else:
            message = "error with the following fields:\n" + "\n".join(f"-  {line}" for line in lines)
        causes = [
            {"reason": "FieldValueInvalid", "field": r.path, "message": f"'{_text(r.value)}' ({r.reason})"}
            for r in refusals
        ]
        super().__init__(message, details={"kind": kind, "name": name, "causes": causes})
        self.name = name
        self.refusals = tuple(refusals)


def _text(value: object) -> str:
    if isinstance(value, bool | Mapping | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return "" if value is None else str(value)
