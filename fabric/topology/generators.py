"""Graphs by a generator's name: `ring`, `fat-tree` and `waxman` of our own, any other of networkx's.

A generator runs in a child process of bounded time and memory: a tree of 500 branches and 500 levels is
refused, and hurts nobody.
"""

from __future__ import annotations

import inspect
import itertools
import json
import math
import random
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import networkx as nx

from fabric.topology.child import NoAnswer, answer_of
from fabric.topology.wiring import LINKS_MAX, ROUTERS_MAX, natural

SEED = 1
"""Of a random graph whose file names no other: the same file is the same graph."""
Edges = list[tuple[int, int]]


def vertices_of(name: str, arguments: Mapping[str, Any]) -> tuple[Edges, dict[int, int]]:
    """Return the links of a generator's graph, and each vertex (0, 1, …) with its tier, from 1.

    LookupError: there is no such generator; ValueError: it does not take these arguments, or grows too large.
    """
    build = _OWN.get(name) or _networkx(name)
    try:
        answer = json.loads(_built_once(build, json.dumps(arguments)))
    except NoAnswer as failure:
        raise ValueError(f"{_too_large()} ({failure})") from None
    if "error" in answer:
        raise ValueError(answer["error"])
    return [(a, b) for a, b in answer["edges"]], dict(enumerate(answer["tiers"]))


def fat_tree(k: int) -> nx.Graph:
    """Return a k-ary fat tree: k pods of k/2 edges and k/2 aggregates each, (k/2)² cores; `tier` 1, 2, 3."""
    if k % 2 or not 2 <= k <= 16:
        raise ValueError("k must be even, from 2 to 16")
    half = range(k // 2)
    edges = [(f"e{pod}.{i}", f"a{pod}.{j}") for pod in range(k) for i in half for j in half]
    edges += [(f"a{pod}.{j}", f"c{j}.{i}") for pod in range(k) for j in half for i in half]
    tiers = {"e": 1, "a": 2, "c": 3}
    graph = nx.Graph()
    names = {name for edge in edges for name in edge}
    for name in sorted(names, key=lambda it: (tiers[it[0]], natural(it))):
        graph.add_node(name, tier=tiers[name[0]])
    graph.add_edges_from(edges)
    return graph


def waxman(n: int, beta: float = 0.4, alpha: float = 0.1, seed: int = SEED) -> nx.Graph:
    """Return Waxman's random graph of n points in a square; near points are linked more often.

    What falls apart is joined again by the shortest links that do it.
    """
    if not 1 <= n <= ROUTERS_MAX:
        raise ValueError(f"n must be 1 to {ROUTERS_MAX}")
    chance = random.Random(seed)
    at = [(chance.random(), chance.random()) for _ in range(n)]
    graph = nx.empty_graph(n)
    whole = nx.utils.UnionFind(range(n))
    pairs = sorted(itertools.combinations(range(n), 2), key=lambda it: math.dist(at[it[0]], at[it[1]]))
    for a, b in pairs:
        if chance.random() < beta * math.exp(-math.dist(at[a], at[b]) / (alpha * math.sqrt(2))):
            graph.add_edge(a, b)
            whole.union(a, b)
    for a, b in pairs:
        if whole[a] != whole[b]:
            graph.add_edge(a, b)
            whole.union(a, b)
    return graph


_OWN: Mapping[str, Callable[..., Any]] = {"ring": nx.cycle_graph, "waxman": waxman, "fat-tree": fat_tree}


def _networkx(name: str) -> Callable[..., Any]:
    for candidate in (name, f"{name}_graph"):
        found = getattr(nx, candidate.replace("-", "_"), None)
        if callable(found) and getattr(found, "__module__", "").startswith("networkx.generators"):
            return found  # type: ignore[no-any-return]
    own = ", ".join(sorted(_OWN))
    raise LookupError(f"no generator {name!r}; allowed: {own}, or one of networkx, such as balanced_tree")


@cache
def _built_once(build: Callable[..., Any], arguments: str) -> bytes:
    """Remembered, because one `fabric up` asks more than once."""
    return answer_of(lambda: _built(build, json.loads(arguments)).encode())


def _built(build: Callable[..., Any], arguments: Mapping[str, Any]) -> str:
    try:
        signature = inspect.signature(build)
        signature.bind(**arguments)
        chance = {"seed": SEED} if "seed" in signature.parameters else {}
        graph = build(**(chance | dict(arguments)))
        if not isinstance(graph, nx.Graph):
            return json.dumps({"error": "it makes no graph"})
        if not graph:
            return json.dumps({"error": "its graph has no vertex, and so no router"})
        if len(graph) > ROUTERS_MAX or graph.size() > LINKS_MAX:
            return json.dumps({"error": _too_large()})
    except (MemoryError, OverflowError, RecursionError):
        return json.dumps({"error": _too_large()})
    except (TypeError, ValueError, nx.NetworkXException) as error:
        return json.dumps({"error": str(error)})
    number = {vertex: index for index, vertex in enumerate(graph.nodes)}
    pairs = {tuple(sorted((number[a], number[b]))): None for a, b, *_ in graph.edges if a != b}
    tiers = [graph.nodes[vertex].get("tier", 1) for vertex in graph.nodes]
    return json.dumps({"edges": list(pairs), "tiers": tiers})


def _too_large() -> str:
    return f"more than {ROUTERS_MAX} routers or {LINKS_MAX} links"
