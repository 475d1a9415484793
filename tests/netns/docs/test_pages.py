"""Every console block that needs a cluster is run as a reader would, and prints what the page says."""

from __future__ import annotations

import shutil

import pytest
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
def test_a_reader_who_types_a_pages_commands_sees_what_the_page_shows(page, mark, tmp_path):
    said = [each for block in blocks(page, "console") if block.mark == mark for each in commands(block)]
    for tool in ("kubectl", "tcpdump"):
        if any(tool in each.command for each in said) and shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    session = PageSession(tmp_path, mark)
    try:
        for each in said:
            session.play(each)
    finally:
        session.close()
