"""A matrix and a prediction: what agrees, what does not, and how ports are written."""

from __future__ import annotations

import pytest
from support.matrices import DNS, NODE, PREDICTED, PROBED, WEB, A, B

from fabric.errors import BadInput
from fabric.verify.matrix import Cell, Mark, Matrix, Port
from fabric.verify.probes import Answer, Job, Outcome


def test_a_mismatch_is_a_cell_that_passes_where_the_other_does_not_or_that_could_not_be_asked():
    wrong = PROBED.mismatches(PREDICTED)
    assert [(it.source, it.destination, it.port) for it in wrong] == [
        (A, B, DNS),
        (B, A, WEB),
        (NODE, A, WEB),
    ]
    assert str(wrong[1]) == ("y/b -> x/a 80/TCP: predicted allowed (no policy selects x/a); probed blocked")


def test_a_matrix_has_no_mismatch_with_itself_unless_it_could_not_be_asked():
    assert [it.probed.mark for it in PROBED.mismatches(PROBED)] == [Mark.error]
    assert PREDICTED.mismatches(PREDICTED) == ()


def test_only_places_that_both_have_are_compared():
    part = Matrix(PREDICTED.sources, PREDICTED.destinations, (WEB,), {(B, A, WEB): Cell(Mark.allowed)})
    assert [it.source for it in PROBED.mismatches(part)] == [B]


def test_json_has_each_cell_and_what_was_predicted_of_it():
    told = PROBED.as_json(PREDICTED)
    assert (told["ports"], told["mismatches"], len(told["cells"])) == (["80/TCP", "53/UDP"], 3, 7)
    assert next(it for it in told["cells"] if it["from"] == B and it["port"] == "80/TCP") == {
        "from": B,
        "to": A,
        "port": "80/TCP",
        "outcome": "blocked",
        "detail": "",
        "predicted": "allowed",
        "reason": "no policy selects x/a",
        "agrees": False,
    }
    assert "mismatches" not in PROBED.as_json()


TCP, UDP = (Job("pod-1", "192.0.2.2", protocol, 80) for protocol in ("tcp", "udp"))


@pytest.mark.parametrize(
    ("outcome", "mark"),
    [
        (Outcome.delivered, "."),
        (Outcome.timeout, "X"),
        (Outcome.refused, "!"),
        (Outcome.rejected, "#"),
        (Outcome.error, "?"),
    ],
)
def test_each_outcome_has_a_mark_of_its_own(outcome, mark):
    assert Cell.of(TCP, Answer(outcome, "why", 3)) == Cell(Mark(mark), "why", 3)


@pytest.mark.parametrize(
    ("job", "sender", "mark"),
    [
        (TCP, "", Mark.refused),
        (UDP, "192.0.2.2", Mark.refused),
        (TCP, "192.0.2.2", Mark.rejected),
        (UDP, "192.0.2.1", Mark.rejected),
    ],
)
def test_a_refusal_is_of_the_destination_where_a_host_would_say_it_so_else_of_a_filter(job, sender, mark):
    assert Cell.of(job, Answer(Outcome.refused, sender=sender)).mark is mark


def test_what_nobody_serves_has_arrived_as_predicted():
    assert Cell(Mark.refused).agrees(Cell(Mark.allowed)) and not Cell(Mark.refused).agrees(Cell(Mark.blocked))


@pytest.mark.parametrize(
    ("text", "port", "written"),
    [
        ("80", Port("tcp", 80), "80/TCP"),
        ("80/tcp", Port("tcp", 80), "80/TCP"),
        ("53/UDP", Port("udp", 53), "53/UDP"),
        ("80/tcp6", Port("tcp", 80, 6), "80/TCP6"),
        ("132/sctp", Port("sctp", 132), "132/SCTP"),
        ("icmp", Port("icmp"), "ICMP"),
        ("icmp6", Port("icmp", 0, 6), "ICMP6"),
    ],
)
def test_a_port_is_read_as_it_is_written(text, port, written):
    assert Port.of(text) == port and str(port) == written and Port.of(written) == port


@pytest.mark.parametrize(
    "text",
    ["", "tcp", "80/", "/tcp", "80/http", "0/tcp", "65536/udp", "x/tcp", "8/icmp", "/icmp", "²/tcp", "²"],
)
def test_what_is_no_port_is_refused_with_what_to_write(text):
    with pytest.raises(BadInput, match="is no port; write 80/tcp, 53/udp, icmp, or 80/tcp6 for IPv6"):
        Port.of(text)
