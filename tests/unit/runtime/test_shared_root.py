"""Which programs can run where there are no other files."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabric.runtime.namespaces.shared_root import is_static

_LOAD, _INTERPRETER = 1, 3
_HEADER_BYTES, _ENTRY_BYTES = 64, 56


def elf(*kinds: int) -> bytes:
    """Return a little-endian ELF head of 64 bits with program headers of these kinds."""
    head = bytearray(_HEADER_BYTES)
    head[:6] = b"\x7fELF\x02\x01"
    head[32:40] = _HEADER_BYTES.to_bytes(8, "little")
    head[54:56] = _ENTRY_BYTES.to_bytes(2, "little")
    head[56:58] = len(kinds).to_bytes(2, "little")
    return bytes(head) + b"".join(kind.to_bytes(4, "little") + bytes(_ENTRY_BYTES - 4) for kind in kinds)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (elf(_LOAD, _LOAD), True),
        (elf(_LOAD, _INTERPRETER, _LOAD), False),
        (b"#!/bin/sh\n", False),
        (b"\x7fELF\x01\x01", False),
        (b"", False),
    ],
)
def test_a_program_without_a_loader_needs_no_other_file(tmp_path: Path, content: bytes, expected: bool):
    (tmp_path / "program").write_bytes(content)
    assert is_static(str(tmp_path / "program")) is expected
