"""BIRD's control protocol, without a socket: bytes in, whole answers out.

The daemon greets whoever connects with a line of code 0001. Then each command, one line of text, has one
answer, in the order of the commands. An answer is one or more lines, and a line is one of

    1002-text     code 1002, and more lines follow
    0000 text     code 0000, and the answer ends here
     text         a space: the code of the line before, and more lines follow
    +text         said by the daemon on its own: part of no answer

Codes: 0xxx done, 1xxx rows, 2xxx headings, 8xxx the daemon could not, 9xxx it did not understand. A refusal
may stand in the middle of an answer (`reload in all`, where one protocol of many cannot). Lines end with a
newline; the greeting has the form of an answer, and the reader gives it as the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fabric.errors import FabricError

LINE_BYTES_MAX = 64 * 1024
ANSWER_BYTES_MAX = 256 * 1024 * 1024
REFUSALS_FROM = 8000

WELCOME = 1
RECONFIGURATION_IGNORED = 6
NETWORK_NOT_FOUND = 8001
NO_PROTOCOLS_MATCH = 8003


class BadAnswer(FabricError):
    """The answer is not BIRD's protocol; nothing that follows on this connection can be trusted."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an answer; `text` is without code and newline, its indentation kept."""

    code: int
    text: str

    @property
    def refuses(self) -> bool:
        return self.code >= REFUSALS_FROM


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole answer to one command: at least one line."""

    lines: tuple[Line, ...]

    @property
    def code(self) -> int:
        """The last line's code, which is the answer's."""
        return self.lines[-1].code

    @property
    def refused(self) -> bool:
        return self.lines[-1].refuses

    @property
    def refusals(self) -> tuple[Line, ...]:
        """Every line that says no, also in the middle."""
        return tuple(line for line in self.lines if line.refuses)

    def of(self, *codes: int) -> tuple[Line, ...]:
        """The lines of these codes, in their order."""
        return tuple(line for line in self.lines if line.code in codes)


class AnswerReader:
    """Feed it bytes as they come, in pieces of any size; it yields the answers that are whole."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[Line] = []
        self._bytes = 0

    @property
    def is_between_answers(self) -> bool:
        """True when no answer has begun that has not ended."""
        return not self._rest and not self._lines

    def feed(self, data: bytes) -> Iterator[Answer]:
        """Yield each answer that `data` completes; BadAnswer when it cannot be BIRD's.

        The iterator must be used up before the next `feed`.
        """
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            raise BadAnswer(f"a line of more than {LINE_BYTES_MAX} bytes")
        for raw in whole:
            yield from self._line(raw)

    def _line(self, raw: bytes) -> Iterator[Answer]:
        if raw.startswith(b"+"):
            return
        self._bytes += len(raw)
        if self._bytes > ANSWER_BYTES_MAX:
            raise BadAnswer(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
        text = raw.decode(errors="replace")
        if text.startswith(" "):
            if not self._lines:
                raise BadAnswer(f"a continuation of nothing: {text!r}")
            self._lines.append(Line(self._lines[-1].code, text[1:]))
            return
        code, mark = text[:4], text[4:5]
        if len(code) != 4 or not (code.isascii() and code.isdigit()) or mark not in ("-", " "):
            raise BadAnswer(f"a line without a code: {text!r}")
        self._lines.append(Line(int(code), text[5:]))
        if mark == " ":
            yield self._take()

    def _take(self) -> Answer:
        answer = Answer(tuple(self._lines))
        self._lines, self._bytes = [], 0
        return answer
