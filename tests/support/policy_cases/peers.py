"""Cases of peers by labels: each way to select pods with each way to select namespaces, and several peers."""

from __future__ import annotations

from support.policy_cases.steps import DIRECTIONS, case, policy, put, rule
from support.policy_words import EVERYWHERE, pods, spaces, where

PODS = {
    "": None,
    "any pods": {},
    "pods a": {"matchLabels": {"pod": "a"}},
    "pods a or b": where("In", "a", "b"),
    "pods but b": where("NotIn", "b"),
    "pods without a name": where("DoesNotExist"),
}
SPACES = {
    "": None,
    "all namespaces": {},
    "namespace x": {"matchLabels": {"ns": "x"}},
    "namespace y by its own label": {"matchLabels": {"kubernetes.io/metadata.name": "y"}},
    "namespaces y or z": where("In", "y", "z", key="ns"),
    "namespaces but y": where("NotIn", "y", key="ns"),
}
SEVERAL = {
    "pods b of their own or namespace y": (pods("b"), spaces("y")),
    "pods b of x or pods a of z": (spaces("x") | pods("b"), spaces("z") | pods("a")),
    "all namespaces or none": (EVERYWHERE, spaces("nowhere")),
    "nobody or pods c": (pods("nobody"), pods("c")),
    "the same twice": (spaces("z"), spaces("z")),
    "namespace y, and pods a everywhere": (spaces("y"), EVERYWHERE | pods("a")),
}


def _peer(among, within):
    return ({} if among is None else {"podSelector": among}) | (
        {} if within is None else {"namespaceSelector": within}
    )


CASES = (
    *(
        case(
            f"{direction} of {', '.join(filter(None, (some, any_)))}",
            put(policy(direction, rule(direction, _peer(among, within)))),
        )
        for direction in DIRECTIONS
        for some, among in PODS.items()
        for any_, within in SPACES.items()
        if some or any_
    ),
    *(
        case(f"{direction} of {name}", put(policy(direction, rule(direction, *peers))))
        for direction in DIRECTIONS
        for name, peers in SEVERAL.items()
    ),
)
