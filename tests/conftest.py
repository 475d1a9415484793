"""All lanes: golden files written anew on request, examples that take their time, no unexpected exception."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest
from support.strictness import logged_bugs, told

hypothesis.settings.register_profile("fabric", deadline=None)
hypothesis.settings.load_profile("fabric")
"""A busy machine makes any single example slow; a test that hangs is ended by its lane."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="write the golden files instead of comparing")


@pytest.fixture(autouse=True)
def strict(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test in which an unexpected exception was logged; `@pytest.mark.with_bug` allows for it."""
    with logged_bugs() as bugs:
        yield
    if bugs and request.node.get_closest_marker("with_bug") is None:
        pytest.fail(f"an unexpected exception was logged:\n{told(bugs)}")
