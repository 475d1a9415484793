"""A namespace for one measurement: where the machine gives none, it says why."""

from __future__ import annotations

import pytest

from fabric.bench import namespaces
from fabric.errors import FabricError


@pytest.mark.parametrize("program", ["echo no such luck >&2; exit 1", "exec <&-; echo no such luck >&2"])
def test_a_refusal_is_told_in_the_programs_words(tmp_path, monkeypatch, program):
    refusing = tmp_path / "unshare"
    refusing.write_text(f"#!/bin/sh\n{program}\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for _ in range(5):  # whether the pipe is closed before or after it is written to
        with pytest.raises(FabricError, match="no network namespace: no such luck"), namespaces.held():
            pytest.fail("there is none")
