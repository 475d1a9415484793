"""All lanes: the option that writes golden files anew, and examples that may take their time."""

from __future__ import annotations

import hypothesis
import pytest

hypothesis.settings.register_profile("fabric", deadline=None)
hypothesis.settings.load_profile("fabric")
"""A busy machine makes any single example slow; a test that hangs is ended by its lane."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="write the golden files instead of comparing")
