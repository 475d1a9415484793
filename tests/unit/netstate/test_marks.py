"""The table of mark bits: no bit has two owners, and no rule of the product has bits of its own."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

from fabric.netstate.marks import KUBE_MASQUERADE, MARKS

TOP = Path(__file__).parents[3]


def test_no_bit_has_two_owners():
    shared = [(one.owner, other.owner) for one, other in combinations(MARKS, 2) if one.bits & other.bits]
    assert not shared


def test_a_mark_reads_as_iptables_prints_it():
    assert str(KUBE_MASQUERADE) == "0x4000/0x4000"


def test_no_rule_names_bits_that_are_not_from_the_table():
    literal = re.compile(r"\b0x[0-9a-fA-F]+/0x[0-9a-fA-F]+\b")
    files = (path for folder in ("fabric", "plugins") for path in (TOP / folder).rglob("*.py"))
    assert not [str(path.relative_to(TOP)) for path in files if literal.search(path.read_text())]
