"""Every console block that needs a cluster is run as a reader would, and prints what the page says."""

from __future__ import annotations

import os
import shutil

import pytest
from support.kubectl import kubectl_1_20
from support.page_session import PageSession
from support.pages import TOP, blocks, commands, pages

SESSIONS = [
    (page, mark)
    for page in pages()
    for mark in dict.fromkeys(block.mark for block in blocks(page, "console") if block.mark)
]


@pytest.mark.netns
@pytest.mark.parametrize(
    ("page", "mark"), SESSIONS, ids=[f"{page.relative_to(TOP)}:{mark}" for page, mark in SESSIONS]
)
def test_a_reader_who_types_a_pages_commands_sees_what_the_page_shows(page, mark, tmp_path, monkeypatch):
    said = [each for block in blocks(page, "console") if block.mark == mark for each in commands(block)]
    if shutil.which("kubectl") is None and any("kubectl" in each.command for each in said):
        monkeypatch.setenv("PATH", f"{kubectl_1_20().parent}:{os.environ['PATH']}")
    session = PageSession(tmp_path, mark)
    try:
        for each in said:
            session.play(each)
    finally:
        session.close()
