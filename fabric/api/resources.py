"""Resources that pods request and nodes have, as whole numbers: CPU in thousandths, everything else in units.

A pod asks for the larger of what its containers need together and what its start needs: init containers
run one after the other, beside the sidecars (init containers that restart) begun before them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from typing import Any

from fabric.api.objects import Object
from fabric.api.quantity import parse_quantity

Amounts = dict[str, int]

QUANTITY_MAX = Decimal(2**63 - 1)
"""Larger quantities count as this one, as in Go."""
CPU, MEMORY, PODS = "cpu", "memory", "pods"
HUGE_PAGES = "hugepages-"
ASSUMED = {CPU: 100, MEMORY: 200 * 1024 * 1024}
"""What the scores take a container for that asks for nothing: 100m and 200 MiB, as kube-scheduler."""


def amounts(quantities: Mapping[str, Any] | None) -> Amounts:
    """Read a resource list. ValueError when a quantity cannot be read."""
    return {name: _amount(name, str(quantity)) for name, quantity in (quantities or {}).items()}


def readable_amounts(quantities: Mapping[str, Any] | None) -> Amounts:
    """The amounts that can be read: what a node says wrongly, it has not."""
    read: Amounts = {}
    for name, quantity in (quantities or {}).items():
        with suppress(ValueError):
            read[name] = _amount(name, str(quantity))
    return read


def requests_of(spec: Object, assumed: Mapping[str, int] | None = None) -> Amounts:
    """The resources that a pod needs of its node; `assumed` stands in for what a container does not say."""
    running: Amounts = {}
    for container in spec.get("containers") or ():
        _add(running, _requests(container, assumed))
    start: Amounts = {}
    sidecars: Amounts = {}
    for container in spec.get("initContainers") or ():
        asked = _requests(container, assumed)
        if container.get("restartPolicy") == "Always":
            _add(sidecars, asked)
            _raise_to(start, sidecars)
        else:
            _raise_to(start, _sum(sidecars, asked))
    _add(running, sidecars)
    _raise_to(running, start)
    running |= _of_the_pod(spec)
    _add(running, readable_amounts(spec.get("overhead")))
    return running


@lru_cache(maxsize=4096)
def _amount(name: str, quantity: str) -> int:
    value = max(-QUANTITY_MAX, min(parse_quantity(quantity), QUANTITY_MAX))
    return math.ceil(value * 1000 if name == CPU else value)


def _of_the_pod(spec: Object) -> Amounts:
    """The requests of the pod as a whole, which count in place of its containers'."""
    asked = amounts((spec.get("resources") or {}).get("requests"))
    return {name: amount for name, amount in asked.items() if is_pod_level(name)}


def is_pod_level(name: str) -> bool:
    """True for a resource that a pod can ask for as a whole."""
    return name in (CPU, MEMORY) or name.startswith(HUGE_PAGES)


def _requests(container: Object, assumed: Mapping[str, int] | None) -> Amounts:
    asked = amounts((container.get("resources") or {}).get("requests"))
    return {**assumed, **asked} if assumed else asked


def _sum(left: Amounts, right: Amounts) -> Amounts:
    total = dict(left)
    _add(total, right)
    return total


def _add(total: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def _raise_to(total: Amounts, least: Amounts) -> None:
    for name, amount in least.items():
        total[name] = max(total.get(name, 0), amount)
