"""A small matrix that was probed, with every mark, and what was predicted of it."""

from __future__ import annotations

from fabric.verify.matrix import Cell, Mark, Matrix, Port

WEB, DNS = Port("tcp", 80), Port("udp", 53)
A, B, NODE = "x/a", "y/b", "node/node-1"
PROBED = Matrix(
    (A, B, NODE),
    (A, B),
    (WEB, DNS),
    {
        (A, A, WEB): Cell(Mark.allowed, "", 41),
        (A, B, WEB): Cell(Mark.blocked),
        (B, A, WEB): Cell(Mark.blocked),
        (B, B, WEB): Cell(Mark.rejected, "ICMP host prohibited from 192.0.2.2", 60),
        (NODE, A, WEB): Cell(Mark.error, "Network is unreachable"),
        (A, B, DNS): Cell(Mark.allowed, "", 70),
        (B, A, DNS): Cell(Mark.refused, "ICMP port unreachable from 192.0.2.1", 55),
    },
)
PREDICTED = Matrix(
    PROBED.sources,
    PROBED.destinations,
    PROBED.ports,
    {
        (A, A, WEB): Cell(Mark.allowed),
        (A, B, WEB): Cell(Mark.blocked, "y/deny isolates y/b"),
        (B, A, WEB): Cell(Mark.allowed, "no policy selects x/a"),
        (B, B, WEB): Cell(Mark.blocked),
        (NODE, A, WEB): Cell(Mark.blocked),
        (A, B, DNS): Cell(Mark.blocked, "y/deny isolates y/b"),
        (B, A, DNS): Cell(Mark.allowed),
    },
)
