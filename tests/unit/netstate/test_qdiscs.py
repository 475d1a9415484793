"""What a queueing discipline keeps of its figures, and how it reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.netstate.objects import Qdisc, Veth
from fabric.netstate.plan import diff
from fabric.netstate.qdiscs import RATE_MAX, bytes_of, rate_text, size_text, ticks_of

rates = st.integers(8, RATE_MAX)


@given(rates, st.integers(0, 10**9), st.integers(0, 10**8))
def test_what_linux_keeps_of_a_bucket_is_kept_again(rate, burst, latency_us):
    once = Qdisc("eth0", "tbf", rate, burst, latency_us)
    assert Qdisc("eth0", "tbf", once.rate, once.burst, once.latency_us) == once
    assert bytes_of(once.rate, ticks_of(once.rate, once.burst)) == once.burst
    if once.burst and ticks_of(once.rate, once.burst) < 2**32 - 1:
        assert abs(once.burst - burst) <= 1 + once.rate // 8 * 64 // 10**9


@pytest.mark.parametrize(
    "rate, text",
    [
        (999, "999bit"),
        (1500, "1500bit"),
        (64_000, "64Kbit"),
        (1_500_000, "1500Kbit"),
        (10**9, "1Gbit"),
        (2_500_000_000, "2500Mbit"),
    ],
)
def test_a_rate_reads_as_tc_prints_it(rate, text):
    assert rate_text(rate) == text


@pytest.mark.parametrize("size, text", [(1600, "1600b"), (65536, "64Kb"), (1 << 20, "1Mb"), (1025, "1025b")])
def test_a_size_reads_as_tc_prints_it_where_nothing_is_lost(size, text):
    assert size_text(size) == text


def test_a_queue_of_another_kind_is_made_anew_and_one_of_the_same_kind_is_changed():
    tbf, faster = Qdisc("eth0", "tbf", 8000, 1600), Qdisc("eth0", "tbf", 16000, 1600)
    netem = Qdisc("eth0", "netem", delay_us=20_000)
    assert [step.verb for step in diff(frozenset({faster}), frozenset({tbf})).steps] == ["replace"]
    assert [step.verb for step in diff(frozenset({netem}), frozenset({tbf})).steps] == ["delete", "add"]


def test_a_device_made_anew_gets_its_queue_again():
    tbf = Qdisc("veth1", "tbf", 8000, 1600)
    old, new = Veth("veth1", "eth0", "pod:1"), Veth("veth1", "eth1", "pod:1")
    plan = diff(frozenset({new, tbf}), frozenset({old, tbf}))
    assert [(step.verb, type(step.obj)) for step in plan.steps] == [
        ("delete", Veth),
        ("add", Veth),
        ("add", Qdisc),
    ]
