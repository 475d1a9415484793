from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.bird_transcripts import transcript

from fabric.bird.control import Answer, AnswerReader, BadAnswer, Line

SPOKEN = b"".join(b"".join(transcript(name).values()) for name in ("established", "refusals", "down"))


def answers(*pieces: bytes) -> list[Answer]:
    reader = AnswerReader()
    return [answer for piece in pieces for answer in reader.feed(piece)]


def test_the_greeting_reads_as_an_answer():
    (greeting,) = answers(b"0001 BIRD 2.0.12 ready.\n")
    assert greeting == Answer((Line(1, "BIRD 2.0.12 ready."),))
    assert not greeting.refused


def test_a_continuation_line_has_the_code_of_the_line_before():
    (answer,) = answers(b"1002-device1 up\n direct1 up\n1006-  Channel ipv4\n     State: UP\n0000 \n")
    assert answer.lines == (
        Line(1002, "device1 up"),
        Line(1002, "direct1 up"),
        Line(1006, "  Channel ipv4"),
        Line(1006, "    State: UP"),
        Line(0, ""),
    )


@given(st.lists(st.integers(0, len(SPOKEN)), max_size=8))
def test_the_answers_do_not_depend_on_how_the_bytes_come(cuts: list[int]):
    edges = [0, *sorted(cuts), len(SPOKEN)]
    pieces = [SPOKEN[start:end] for start, end in pairwise(edges)]
    assert answers(*pieces) == answers(SPOKEN)


def test_each_command_of_a_transcript_has_one_answer():
    for name in ("established", "refusals", "down"):
        said = transcript(name)
        assert len(answers(*said.values())) == len(said)


def test_what_the_daemon_says_on_its_own_belongs_to_no_answer():
    (answer,) = answers(b"1002-device1\n+reading\n direct1\n0000 \n")
    assert [line.text for line in answer.lines] == ["device1", "direct1", ""]


def test_a_refusal_at_the_end_refuses_and_one_in_the_middle_is_listed():
    reload, unknown = answers(transcript("established")["reload in all"], b"9001 syntax error\n")
    assert not reload.refused
    assert [line.text for line in reload.refusals] == ["direct1: reload failed"]
    assert unknown.refused and unknown.code == 9001


@pytest.mark.parametrize(
    "nonsense", [b"HTTP/1.1 400\n", b" orphan\n", b"12\n", b"\n", b"0000=x\n", b"x" * 70_000]
)
def test_what_is_not_bird_is_refused(nonsense: bytes):
    with pytest.raises(BadAnswer):
        answers(nonsense)


def test_bytes_that_are_no_utf_8_do_not_stop_the_reader():
    (answer,) = answers(b"0000 caf\xe9\n")
    assert answer.lines[0].text == "caf\ufffd"


def test_between_answers_nothing_is_left_over():
    reader = AnswerReader()
    assert reader.is_between_answers
    assert list(reader.feed(b"1002-device1\n0000")) == []
    assert not reader.is_between_answers
    assert len(list(reader.feed(b" \n"))) == 1
    assert reader.is_between_answers
