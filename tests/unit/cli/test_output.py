import os
import pty
import struct
import subprocess
import sys
import termios
from fcntl import ioctl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.cli import output
from fabric.errors import plural

WORDS = "a network plugin that has many words to say"
PROGRAM = f"""
from fabric.cli import output
output.table(("NODE", "READY", "NETWORK"), [("node-1", "True", {WORDS!r}), ("node-2", "False", "up")])
"""


def printed(columns: int) -> list[str]:
    """The lines of a table on a terminal of that width."""
    master, terminal = pty.openpty()
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=terminal, env=env)
    os.close(terminal)
    text = b""
    while True:
        try:
            text += os.read(master, 65536)
        except OSError:
            break
    assert process.wait() == 0
    os.close(master)
    return text.decode().splitlines()


@pytest.mark.parametrize("columns", [24, 40, 60])
def test_a_table_fits_the_terminal_and_loses_no_word(columns):
    lines = printed(columns)
    assert max(map(len, lines)) <= columns
    assert set(WORDS.split()) <= set(" ".join(lines).split())


def test_a_row_is_one_line_where_it_fits_and_where_it_is_piped():
    assert len(printed(200)) == 3
    piped = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert piped.stdout.splitlines()[1] == f"node-1   True    {WORDS}"


@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.integers(1, 400))
def test_columns_fit_where_that_can_be_and_only_the_widest_are_made_narrower(widths, columns):
    found = output.fitted(widths, columns)
    room = columns - 3 * (len(widths) - 1)
    assert sum(found) <= max(room, sum(min(width, output.COLUMN_MIN) for width in widths))
    assert all(now <= was for now, was in zip(found, widths, strict=True))
    if sum(widths) <= room:
        assert found == widths
    narrowed = [now for now, was in zip(found, widths, strict=True) if now < was]
    assert not narrowed or max(found) - min(narrowed) <= 1


@pytest.mark.parametrize(
    ("count", "noun", "text"), [(1, "node", "1 node"), (0, "pod", "0 pods"), (2, "address", "2 addresses")]
)
def test_a_number_and_its_noun_agree(count, noun, text):
    assert plural(count, noun) == text
