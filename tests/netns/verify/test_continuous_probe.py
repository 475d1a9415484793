"""Probes that go on while the network changes: what was open when, and for how many of them."""

from __future__ import annotations

import time

import pytest
from support.eventually import eventually
from support.probe_lab import ADDRESSES, SERVED, ProbeLab, probe_lab

from fabric.verify.probes import Job, Outcome
from fabric.verify.probing import OPEN_OF_A_JOB_MAX, ContinuousProbe

DROP = ("INPUT", "-p", "tcp", "--dport", str(SERVED), "-j", "DROP")
OPEN, OTHER = (Job("client", ADDRESSES[4], "tcp", port) for port in (SERVED, 81))


@pytest.fixture
def lab():
    with probe_lab("--tcp", f"{SERVED},81") as made:
        yield made


async def test_each_change_has_the_time_of_the_first_probe_that_met_it(lab: ProbeLab):
    with ContinuousProbe(lab.pids, [OPEN, OTHER]) as probe:
        tally = probe.tallies[OPEN]
        await eventually(lambda: tally.delivered > 100)
        before_drop = time.monotonic()
        lab.filter("server", 4, "-A", *DROP)
        dropped = time.monotonic()
        await eventually(lambda: tally.last is Outcome.timeout)
        before_pass = time.monotonic()
        lab.filter("server", 4, "-D", *DROP)
        passed = time.monotonic()
        await eventually(lambda: tally.last is Outcome.delivered)
    first, closed, opened = tally.changes
    outcomes = [it.answer.outcome for it in tally.changes]
    assert outcomes == [Outcome.delivered, Outcome.timeout, Outcome.delivered] and tally.changes_total == 3
    assert first.sent_at < closed.sent_at < opened.sent_at
    assert before_drop - 1 < closed.sent_at < dropped + 1
    assert before_pass - 1 < opened.sent_at < passed + 1
    assert tally.delivered > 100 and tally.not_delivered == tally.counts[Outcome.timeout] > 0
    assert tally.delivered_last is not None and tally.delivered_last >= opened.sent_at
    other = probe.tallies[OTHER]
    assert [it.answer.outcome for it in other.changes] == [Outcome.delivered]
    assert other.delivered > 1000, "one that nobody answers does not hold up another"


async def test_a_job_that_is_closed_all_the_time_was_never_delivered_and_often_asked(lab: ProbeLab):
    lab.filter("server", 4, "-A", *DROP)
    with ContinuousProbe(lab.pids, [OPEN]) as probe:
        await eventually(lambda: probe.tallies[OPEN].not_delivered > OPEN_OF_A_JOB_MAX)
    tally = probe.tallies[OPEN]
    assert tally.delivered == 0 and tally.delivered_last is None and tally.changes_total == 1


async def test_a_rate_is_kept(lab: ProbeLab):
    began = time.monotonic()
    with ContinuousProbe(lab.pids, [OPEN, OTHER], rate=200) as probe:
        await eventually(lambda: probe.tallies[OPEN].delivered >= 40)
        seconds = time.monotonic() - began
        asked = sum(it.delivered for it in probe.tallies.values())
    assert asked <= 200 * seconds + 2


async def test_at_its_end_nothing_is_open_and_a_second_look_counts_nothing_more(lab: ProbeLab):
    lab.filter("server", 4, "-A", *DROP)
    with ContinuousProbe(lab.pids, [OPEN, OTHER]) as probe:
        await eventually(lambda: probe.tallies[OTHER].delivered)
    counted = {job: tally.counts.total() for job, tally in probe.tallies.items()}
    assert lab.open_sockets("client") == []
    assert counted == {job: tally.counts.total() for job, tally in probe.tallies.items()}
