"""Cases of change: policies come, change and go, labels change, pods come and go."""

from __future__ import annotations

from functools import partial
from typing import Any

from support.policy_cases.steps import (
    DIRECTIONS,
    AddPod,
    DeletePod,
    Direction,
    Label,
    case,
    delete,
    policy,
    put,
    rule,
)
from support.policy_objects import Object
from support.policy_words import EVERYWHERE, block, pods, port, spaces

RED = {"matchLabels": {"team": "red"}}
RED_SPACES, RED_PODS = {"namespaceSelector": RED}, {"podSelector": RED}


def _allowing(direction: Direction, *peers: Object, **more: Any) -> Object:
    """The policy of all pods of x that allows these peers."""
    return policy(direction, rule(direction, *peers, **more))


def _of_policies(direction: Direction):
    """Cases in which policies come, change and go."""
    allow = partial(_allowing, direction)
    deny = policy(direction)
    return (
        case(
            f"{direction}: denied, then allowed, then denied",
            put(deny),
            put(policy(direction, {})),
            put(deny),
        ),
        case(f"{direction}: a policy goes", put(deny), delete(deny)),
        case(f"{direction}: a policy goes and comes again", put(deny), delete(deny), put(deny)),
        case(
            f"{direction}: one of two policies goes",
            put(allow(spaces("y")), policy(direction, rule(direction, spaces("z")), name="other")),
            delete(policy(direction, name="other")),
        ),
        case(f"{direction}: a policy gets another peer", put(allow(spaces("y"))), put(allow(spaces("z")))),
        case(
            f"{direction}: a policy gets another port",
            put(allow(ports=[port(80)])),
            put(allow(ports=[port(81, "UDP")])),
            put(allow(ports=[port("serve-80-tcp")])),
        ),
        case(
            f"{direction}: a policy selects other pods", put(deny | {}), put(policy(direction, **pods("b")))
        ),
        case(
            f"{direction}: a block gets an exception",
            put(allow(block("10.244.0.0/16"))),
            put(allow(block("10.244.0.0/16", "{y/a}/32"))),
            put(allow(block("10.244.0.0/16"))),
        ),
    )


def _of_labels(direction: Direction):
    """Cases in which labels of pods and namespaces change."""
    allow = partial(_allowing, direction)
    return (
        case(
            f"{direction}: a namespace becomes red, and is so no longer",
            put(allow(RED_SPACES)),
            (Label("y", {"team": "red"}),),
            (Label("y", {"team": "blue"}), Label("z", {"team": "red"})),
            (Label("z", {"team": None}),),
        ),
        case(
            f"{direction}: a pod becomes red, and is so no longer",
            put(allow(EVERYWHERE | RED_PODS)),
            (Label("y/a", {"team": "red"}), Label("x/b", {"team": "red"})),
            (Label("y/a", {"team": None}),),
        ),
        case(
            f"{direction}: a pod and its namespace become red one after the other",
            put(allow(RED_SPACES | RED_PODS)),
            (Label("z", {"team": "red"}),),
            (Label("z/b", {"team": "red"}),),
            (Label("z", {"team": None}),),
        ),
        case(
            f"{direction}: a pod comes to be selected, and another is so no longer",
            put(policy(direction, **pods("a"))),
            (Label("x/b", {"pod": "a"}), Label("x/a", {"pod": "b"})),
        ),
    )


def _of_pods(direction: Direction):
    """Cases in which pods come and go."""
    allow = partial(_allowing, direction)
    return (
        case(
            f"{direction}: a peer comes and goes",
            put(allow(spaces("y") | pods("d"))),
            (AddPod("y/d", {"node": "node-2"}),),
            (DeletePod("y/d"),),
        ),
        case(
            f"{direction}: a selected pod comes and goes",
            put(policy(direction, **pods("d"))),
            (AddPod("x/d", {"node": "node-1"}),),
            (DeletePod("x/d"),),
        ),
        case(
            f"{direction}: a pod comes before its policy",
            (AddPod("x/d", {"node": "node-2"}),),
            put(policy(direction, rule(direction, spaces("y")), **pods("d"))),
        ),
        case(f"{direction}: a pod goes, and comes again", put(allow(spaces("x"))), (DeletePod("x/b"),)),
        case(
            f"{direction}: a pod with other numbers for its names comes",
            put(allow(ports=[port("serve-80-tcp"), port("serve-81-udp", "UDP")])),
            (AddPod("x/d", {"node": "node-2", "first": 81}), AddPod("y/d", {"node": "node-1", "first": 79})),
        ),
    )


CASES = (
    *(it for kind in (_of_policies, _of_labels, _of_pods) for way in DIRECTIONS for it in kind(way)),
    case(
        "a policy of ingress becomes one of egress",
        put(policy("ingress", rule("ingress", spaces("y")))),
        put(policy("egress", rule("egress", spaces("y")))),
    ),
    case(
        "policies of all namespaces come at once, and go at once",
        put(*(policy("ingress", namespace=it) for it in "xyz")),
        delete(*(policy("ingress", namespace=it) for it in "xyz")),
    ),
)
