"""What a real bird said: commands and answers, as they went over its control socket.

A transcript is `>>> command` and the bytes of its answer, again and again. They are kept in tests/golden/bird
and recorded from the daemon by tests/netns/bird/test_transcripts.py with --rewrite.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from fabric.bird.control import Answer, AnswerReader

FOLDER = Path(__file__).parents[1] / "golden" / "bird"
_PROMPT = b">>> "
_SECONDS_MAX = 30.0


def transcript(name: str) -> Mapping[str, bytes]:
    """The bytes of each answer, by command; the greeting's command is ""."""
    parts = (FOLDER / f"{name}.txt").read_bytes().split(_PROMPT)
    pairs = (part.partition(b"\n") for part in parts[1:])
    return {command.decode(): data for command, _, data in pairs}


def answer(name: str, command: str) -> Answer:
    (only,) = AnswerReader().feed(transcript(name)[command])
    return only


def record(control_socket: Path, commands: Iterable[str]) -> bytes:
    """Ask a real daemon, and write down what it says."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_SECONDS_MAX)
        connection.connect(str(control_socket))
        written = [_PROMPT + b"\n" + _whole_answer(connection)]
        for command in commands:
            connection.sendall(command.encode() + b"\n")
            written.append(_PROMPT + command.encode() + b"\n" + _whole_answer(connection))
    return b"".join(written)


def _whole_answer(connection: socket.socket) -> bytes:
    reader, data = AnswerReader(), b""
    while True:
        new = connection.recv(65536)
        data += new
        if not new or list(reader.feed(new)):
            return data


def shapes(written: bytes) -> set[str]:
    """The kinds of lines in a transcript: without numbers, paths, and widths of columns."""
    text = re.sub(r"/\S*/bird\.\w+", "<path>", written.decode())
    text = re.sub(r"\[\S+ [\d: .-]+\]", "[<protocol> <since>]", text)
    lines = (re.sub(r"[\d.]+(?: k?B\b)?", "N", line) for line in text.splitlines())
    return {" ".join(line.split()) for line in lines}
