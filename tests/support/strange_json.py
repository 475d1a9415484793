"""Objects that are nearly right: a seed replays every one of them."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

ODD_VALUES: list[Any] = [
    *(None, True, 0, -1, 1.5, "", "x", "é☃", "a" * 300, "2026-13-01T00:00:00Z", "9" * 30, -(2**63)),
    *([], {}, [None], [1], [{}], {"": ""}, {"a": None}, [[["x"]]]),
]


def strange(random: Random, obj: Any) -> Any:
    """A copy with one to three values dropped or replaced, anywhere in it."""
    changed = copy.deepcopy(obj)
    for _ in range(random.choice([1, 1, 2, 3])):
        _change_one(random, changed)
    return changed


def odd_value(random: Random) -> Any:
    return copy.deepcopy(random.choice(ODD_VALUES))


def _change_one(random: Random, node: Any) -> None:
    while isinstance(node, dict | list) and node:
        place = random.choice(list(node) if isinstance(node, dict) else range(len(node)))
        is_leaf = not isinstance(node[place], dict | list) or not node[place]
        if is_leaf or random.random() < 0.4:
            if random.random() < 0.15:
                del node[place]
            else:
                node[place] = odd_value(random)
            return
        node = node[place]
