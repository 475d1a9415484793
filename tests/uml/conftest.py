"""The uml lane: each test runs in a guest with a kernel of its own, and its reports are shown as the host's.

A file of tests is one guest. On the host nothing of a test is run: the first of a file boots its guest, which
runs all of the file's that were selected.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from support import guest
from support.guest import Outcome

_OUTCOMES = pytest.StashKey[dict[Path, Outcome]]()


def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """On the host: say of the test what its guest says."""
    if guest.is_guest() or item.get_closest_marker("uml") is None:
        return None
    outcome = _outcome(item)
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = [_report(item.config, it) for it in outcome.reports if it["nodeid"] == item.nodeid]
    if not any(report.when == "teardown" for report in reports):
        reports.append(_missing(item, outcome))
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In a guest: hand the report to the host."""
    report = yield
    if guest.is_guest():
        config = item.config
        guest.record(config.hook.pytest_report_to_serializable(config=config, report=report))
    return report


def _outcome(item: pytest.Item) -> Outcome:
    outcomes = item.config.stash.setdefault(_OUTCOMES, {})
    if item.path not in outcomes:
        tests = [it.nodeid for it in item.session.items if it.path == item.path]
        outcomes[item.path] = guest.run(tests, item.config.rootpath)
    return outcomes[item.path]


def _report(config: pytest.Config, data: Any) -> pytest.TestReport:
    if isinstance(data.get("longrepr"), list):
        data = {**data, "longrepr": tuple(data["longrepr"])}
    return config.hook.pytest_report_from_serializable(config=config, data=data)


def _missing(item: pytest.Item, outcome: Outcome) -> pytest.TestReport:
    words = dict.fromkeys(item.keywords, 1)  # plain: a report may travel to another process
    if outcome.unfit:
        where = (str(item.path), item.location[1] or 0, f"Skipped: {outcome.unfit}")
        return pytest.TestReport(item.nodeid, item.location, words, "skipped", where, "call")
    return pytest.TestReport(item.nodeid, item.location, words, "failed", outcome.complaint, "call")
