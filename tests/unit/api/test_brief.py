"""A message stays short, and stays one line, whatever value stands in it."""

import pytest

from fabric.errors import SENTENCE_CHARACTERS_MAX, WORD_CHARACTERS_MAX, Problem, brief


@pytest.mark.parametrize(
    "value", ["x" * 100_000, "a b " * 25_000, "\0" * 100_000], ids=["word", "words", "NULs"]
)
def test_of_a_long_value_the_beginning_is_told_and_the_remedy_after_it(value):
    told = str(Problem("f.yaml:3", f"no plugin {value!r} is installed; installed: flannel"))
    assert len(told) <= SENTENCE_CHARACTERS_MAX + len("f.yaml:3: ")
    assert told.startswith("f.yaml:3: no plugin '")
    assert told.endswith(" is installed; installed: flannel")


def test_what_moves_a_cursor_or_hides_text_is_written_as_an_escape():
    assert brief("a\nb\x1b[2Jc\u202ed\ud800") == "a\\nb\\x1b[2Jc\\u202ed\\ud800"


def test_a_message_of_usual_length_is_told_as_it_is():
    told = f"/a/path/{'x' * (WORD_CHARACTERS_MAX - 9)}: ü is no name"
    assert brief(told) == told
