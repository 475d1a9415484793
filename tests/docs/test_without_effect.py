"""The page of fields without effect has the rows of the server's table; `--rewrite` makes them."""

from __future__ import annotations

import pytest
from support.pages import TOP

from fabric.apiserver.without_effect import TABLE

PAGE = TOP / "docs/fields-without-effect.md"
HEAD = "| of | fields | why |\n|---|---|---|\n"


def rows() -> str:
    found = []
    for definition, row in TABLE.items():
        reasons: dict[str, list[str]] = {}
        for name, entry in row.items():
            reasons.setdefault(entry.reason, []).append(f"`{name}`")
        found += [f"| {definition} | {', '.join(names)} | {why} |\n" for why, names in reasons.items()]
    return HEAD + "".join(found)


def test_the_page_lists_the_fields_that_change_nothing(request: pytest.FixtureRequest):
    text = PAGE.read_text()
    before, rest = text.split(HEAD)
    after = rest[rest.find("\n\n") :] if "\n\n" in rest else ""
    if request.config.getoption("--rewrite"):
        PAGE.write_text(before + rows().removesuffix("\n") + (after or "\n"))
    else:
        assert text == before + rows().removesuffix("\n") + (after or "\n")
