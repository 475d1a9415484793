"""The measurements of the bench, each with folders of its own for its clusters."""

from __future__ import annotations

import pytest
from support.clusters import own_folders


@pytest.fixture
def folders():
    with own_folders() as environment:
        yield environment
