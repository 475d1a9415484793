"""What style.md says of a docstring's first sentence and of words, held by machine."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]

RIDDLES = frozenset(
    [
        "of",
        "what",
        "whose",
        "those",
        "who",
        "whom",
        "one",
        "whoever",
        "how",
        "when",
        "where",
        "which",
        "that",
        "whatever",
        "whichever",
        "both",
        "two",
        "as",
        "by",
        "for",
        "to",
        "from",
        "in",
        "on",
        "with",
        "without",
        "if",
    ]
)
"""First words of sentences that begin with a clause or a relation in place of a noun."""
VERBS = frozenset(
    [
        "Accepts",
        "Answers",
        "Begins",
        "Calls",
        "Carries",
        "Checks",
        "Collects",
        "Cuts",
        "Deletes",
        "Does",
        "Ends",
        "Finalizes",
        "Finds",
        "Gives",
        "Has",
        "Holds",
        "Implements",
        "Is",
        "Keeps",
        "Knows",
        "Looks",
        "Makes",
        "Needs",
        "Prints",
        "Puts",
        "Quotes",
        "Reads",
        "Removes",
        "Replaces",
        "Returns",
        "Runs",
        "Schedules",
        "Sends",
        "Serves",
        "Speaks",
        "Starts",
        "Takes",
        "Tells",
        "Writes",
    ]
)
"""First words of sentences of a module or class whose subject is left out."""
GONE = {
    "Census": "pod cache",
    "midwife": "zygote",
    "Newborn": "pending process",
    "annex": "exec holder",
    "Wishes": "session options",
    "Likeness": "pod group key",
    "carried_over": "before_update",
    "let_go": "before_delete",
    "Wakeup": "cache watcher",
}
"""Words of our own that the field has a word for, and that word."""


def sources(*folders: str) -> Iterator[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--", *(f"{folder}/*.py" for folder in folders)],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return (TOP / name for name in listed if (TOP / name).is_file())


def product() -> Iterator[Path]:
    return sources("fabric", "plugins")


def docstrings(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node, text


def fault(node: ast.AST, text: str) -> str | None:
    """What is wrong with the first sentence, or nothing."""
    first = text.split()[0].strip(",.:;")
    if first.lower() in RIDDLES:
        return f"opens with {first!r}: begin with the noun that this is"
    if first in VERBS and isinstance(node, ast.Module | ast.ClassDef):
        return f"opens with {first!r}: give the sentence its subject"
    return None


def faults(text: str) -> list[str]:
    return [found for node, doc in docstrings(ast.parse(text)) if (found := fault(node, doc))]


def test_the_first_sentence_of_a_docstring_has_a_subject_and_a_noun():
    found = [
        f"{path.relative_to(TOP)}:{getattr(node, 'lineno', 1)}: {why}"
        for path in product()
        for node, text in docstrings(ast.parse(path.read_text()))
        if (why := fault(node, text))
    ]
    assert not found, "\n".join(found)


def test_words_that_the_field_has_a_better_one_for_stay_gone():
    pattern = re.compile(rf"\b({'|'.join(GONE)})\b")
    found = [
        f"{path.relative_to(TOP)}: {word}: say {GONE[word]}"
        for path in product()
        for word in sorted(set(pattern.findall(path.read_text())))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "is_refused"),
    [
        ('"""Of one block."""', True),
        ('"""What a plugin is given."""', True),
        ('class Cutter:\n    """Cuts a stream into messages."""', True),
        ('class Frames:\n    """A stream cut into messages."""', False),
        ('def cut():\n    """Cuts come last."""', False),
        ('def close():\n    """One of them."""', True),
    ],
)
def test_the_rule_tells_a_riddle_from_a_sentence(source, is_refused):
    assert bool(faults(source)) is is_refused
