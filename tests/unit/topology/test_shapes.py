"""What a link is asked to do, and the queue that does it."""

import pytest

from fabric.netstate.objects import Qdisc
from fabric.topology.shapes import Shape, shape

PLAIN = Shape()


def test_a_link_without_figures_has_no_queue():
    assert PLAIN.qdisc("eth0") is None
    assert str(PLAIN) == ""


def test_a_rate_alone_is_a_bucket_that_holds_four_milliseconds():
    queue = shape({"rate": "100Mbit"}, PLAIN).qdisc("eth0")
    assert queue == Qdisc("eth0", "tbf", 100_000_000, 50_000, 50_000)
    assert shape({"rate": "100Mbit", "queue": "htb"}, PLAIN).qdisc("eth0").kind == "htb"


def test_a_slow_bucket_holds_two_full_frames():
    assert shape({"rate": "64Kbit", "mtu": 9000}, PLAIN).qdisc("eth0").burst == 18036


def test_all_else_is_netems_with_the_rate():
    words = {"rate": "1.5Gbit", "delay": "1.5ms", "jitter": "10us", "loss": "0.25%", "reorder": "25%"}
    asked = shape(words, PLAIN)
    assert asked.needs_netem
    assert asked.qdisc("eth0") == Qdisc("eth0", "netem", 1_500_000_000, 0, 0, 1500, 10, 2500, 250_000)
    assert str(asked) == "rate 1500Mbit delay 1.5ms jitter 10us loss 0.25% reorder 25%"


def test_what_is_not_said_is_as_the_default_says():
    assert shape({"loss": "1%"}, shape({"delay": "5ms"}, PLAIN)).delay_us == 5000


@pytest.mark.parametrize("words", [{"rate": "fast"}, {"delay": "5"}, {"loss": "1"}], ids=str)
def test_what_cannot_be_read_is_named_with_an_example(words):
    with pytest.raises(ValueError) as refused:
        shape(words, PLAIN)
    assert refused.value.args[0] in words
    assert "write it as" in refused.value.args[1]
