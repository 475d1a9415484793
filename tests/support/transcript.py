"""Comparing what a page says that a command prints with what it prints.

`…` alone on a line stands for any number of lines, within a line for any text. What differs from run to
run (times, process ids, MACs, ports, the subnets that Flannel picks) is folded on both sides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_PODS = re.compile(r"^(?:default )?pod-\d .*?(10\.244\.\d+\.)\d+ (node-\d)\b", re.MULTILINE)
_FOLDS = [
    (re.compile(pattern, re.MULTILINE), to)
    for pattern, to in (
        (r"[ \t]+", " "),
        (r" $", ""),
        (r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b", "<mac>"),
        (r"\bveth[0-9a-f]{8}\b", "<veth>"),
        (r"@if\d+\b", "@if"),
        (r"^\d+: ", "N: "),
        (r"\b(?:REACHABLE|STALE|DELAY|PROBE)\b", "<state>"),
        (r"time[= ][\d.]+ ?ms", "time"),
        (r"= [\d.]+/[\d.]+/[\d.]+/[\d.]+ ms", "= <times>"),
        (r"\b\d+\.\d+ s\b", "<seconds>"),
        (r"^\d\d:\d\d:\d\d\.\d+ ", "<time> "),
        (r"\bid \d+, ", "id N, "),
        (r"\b(192\.168\.0\.\d+)\.\d+ >", r"\1.<port> >"),
        (r'"port": \d{5}', '"port": <port>'),
        (r"^((?:api|control|supervisor|underlay|runtime-\d+|worker-\d+)) \d+ ", r"\1 <pid> "),
        (r" (?:\d+m)?\d+s\b", " <age>"),
        (r"link-netnsid \d+", "link-netnsid N"),
    )
]
_UNORDERED = re.compile(r" ip route(?: show\b.*)?$| ip neigh$| ip -br ")


def subnets(text: str) -> dict[str, str]:
    """Which pod subnet (`10.244.67.`) each node has, as a table of pods in the text says."""
    folded = re.sub(r"[ \t]+", " ", text)
    return {node: subnet for subnet, node in _PODS.findall(folded)}


def moved(text: str, said: Mapping[str, str], real: Mapping[str, str]) -> str:
    """The text with each node's subnet as it really is in place of that which a page says, all at once.

    One after the other they could meet: what is one node's on the page may be another's in truth.
    """
    to = {subnet: real[node] for node, subnet in said.items() if node in real}
    if not to:
        return text
    return re.sub("|".join(map(re.escape, to)), lambda found: to[found[0]], text)


def fold(text: str, known: Mapping[str, str]) -> str:
    """The text without what differs from run to run; `known` names the nodes' subnets."""
    for node, subnet in known.items():
        text = text.replace(subnet, f"<{node}>.")
    text = re.sub(r"\b10\.244\.(?!0\.)\d+\.", "<other>.", text)
    for pattern, to in _FOLDS:
        text = pattern.sub(to, text)
    return text


def matches(command: str, said: str, printed: str) -> bool:
    """True when the folded output is what the folded page says."""
    if "…" not in said and _UNORDERED.search(command):
        return sorted(said.splitlines()) == sorted(printed.splitlines())
    pattern = "".join(_pattern(line) for line in said.splitlines())
    return (
        re.fullmatch(pattern, printed if printed.endswith("\n") or not printed else f"{printed}\n")
        is not None
    )


def _pattern(line: str) -> str:
    if line == "…":
        return r"(?:.*\n)*?"
    return ".*".join(re.escape(part) for part in line.split("…")) + r"\n"
