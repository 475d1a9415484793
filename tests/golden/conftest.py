"""The golden lane: text kept beside the test that makes it; `--rewrite` writes it anew."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories(config, item):
    return {"virtual": VirtualTimeLoop}


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare `text` with `<folder of the test>/<name>.txt`; with --rewrite, make it so."""

    def compare(name: str, text: str) -> None:
        path = request.path.parent / f"{name}.txt"
        if request.config.getoption("--rewrite", default=False):
            path.write_text(text)
            return
        assert path.exists(), f"{path} is missing: run pytest {request.path} --rewrite and read what it wrote"
        assert text == path.read_text(), f"{path} differs: if the new text is right, run with --rewrite"

    return compare
