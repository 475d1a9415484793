"""Cases of peers by address: networks, and exceptions from them."""

from __future__ import annotations

from support.policy_cases.steps import DIRECTIONS, case, policy, put, rule
from support.policy_words import EVERYWHERE, block, pods, spaces

CLUSTER = "10.244.0.0/16"
BLOCKS = {
    "one address": (block("{y/a}/32"),),
    "two addresses": (block("{y/a}/32"), block("{z/c}/32")),
    "a node's pods": (block("{y/a}/26"),),
    "all pods": (block(CLUSTER),),
    "everybody": (block("0.0.0.0/0"),),
    "everybody of IPv6": (block("::/0"),),
    "nobody's network": (block("192.0.2.0/24"),),
    "all but one": (block(CLUSTER, "{y/a}/32"),),
    "all but two": (block(CLUSTER, "{y/a}/32", "{x/b}/32"),),
    "all but a node's": (block(CLUSTER, "{x/a}/26"),),
    "everybody but pods": (block("0.0.0.0/0", CLUSTER),),
    "all but one that another block has": (block(CLUSTER, "{y/a}/32"), block("{y/a}/32")),
    "all but one that another block excepts too": (
        block(CLUSTER, "{y/a}/32"),
        block("0.0.0.0/0", "{y/a}/32"),
    ),
    "all but one of each node": (block("{x/a}/26", "{x/c}/32"), block("{x/b}/26", "{y/a}/32")),
    "an address or a namespace": (block("{z/a}/32"), spaces("y")),
    "all but one, or pods b everywhere": (block(CLUSTER, "{y/b}/32"), EVERYWHERE | pods("b")),
}
CASES = tuple(
    case(f"{direction} of addresses: {name}", put(policy(direction, rule(direction, *peers))))
    for direction in DIRECTIONS
    for name, peers in BLOCKS.items()
)
