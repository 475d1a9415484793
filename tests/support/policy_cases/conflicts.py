"""Cases of several policies: they add up, and none takes away what another allows."""

from __future__ import annotations

from support.policy_cases.steps import DIRECTIONS, Direction, case, policy, put, rule
from support.policy_objects import Object
from support.policy_words import EVERYWHERE, block, pods, port, spaces

CLUSTER = "10.244.0.0/16"


def _named(direction: Direction, *policies: tuple[Object, ...]) -> list[Object]:
    return [policy(direction, *rules, name=f"policy-{number}") for number, rules in enumerate(policies)]


def _pairs(direction: Direction) -> dict[str, list[Object]]:
    """Policies of all pods of x, by what they say."""

    def allow(*peers: Object, ports: list[Object] | None = None) -> tuple[Object, ...]:
        return (rule(direction, *peers, ports=ports),)

    def named(*policies: tuple[Object, ...]) -> list[Object]:
        return _named(direction, *policies)

    return {
        "nobody, and everybody": named((), ({},)),
        "nobody, and namespace y": named((), allow(spaces("y"))),
        "namespace y, and namespace z": named(allow(spaces("y")), allow(spaces("z"))),
        "80 of TCP, and 81 of UDP": named(allow(ports=[port(80)]), allow(ports=[port(81, "UDP")])),
        "80 of y, and all of z": named(allow(spaces("y"), ports=[port(80)]), allow(spaces("z"))),
        "all but one address, and that one": named(
            allow(block(CLUSTER, "{y/a}/32")), allow(block("{y/a}/32"))
        ),
        "all but one address, and its namespace": named(
            allow(block(CLUSTER, "{y/a}/32")), allow(spaces("y"))
        ),
        "all but a, and all but b": named(
            allow(block(CLUSTER, "{y/a}/32", "{y/b}/32")), allow(block(CLUSTER, "{y/b}/32", "{y/c}/32"))
        ),
        "pods a and b, and pods b and c": named(
            allow(EVERYWHERE | pods("a"), EVERYWHERE | pods("b")),
            allow(EVERYWHERE | pods("b"), EVERYWHERE | pods("c")),
        ),
        "ten of them": named(*(allow(spaces(space) | pods(name)) for space in "xyz" for name in "abc"), ()),
    }


CASES = (
    *(
        case(f"{direction}: {name}", put(*policies))
        for direction in DIRECTIONS
        for name, policies in _pairs(direction).items()
    ),
    case(
        "egress of x is closed, and ingress of y open",
        put(policy("egress"), policy("ingress", {}, namespace="y")),
    ),
    case(
        "egress of x is open, and ingress of y closed",
        put(policy("egress", {}), policy("ingress", namespace="y")),
    ),
    case(
        "egress of x to y, and ingress of y from z",
        put(
            policy("egress", rule("egress", spaces("y"))),
            policy("ingress", rule("ingress", spaces("z")), namespace="y"),
        ),
    ),
    case(
        "egress by 80, and ingress by 81",
        put(
            policy("egress", {"ports": [port(80)]}),
            policy("ingress", {"ports": [port(81)]}, namespace="y"),
        ),
    ),
    case(
        "ingress closed for a, and open for b, of all namespaces",
        put(
            *(policy("ingress", namespace=it, name="a", **pods("a")) for it in "xyz"),
            *(policy("ingress", {}, namespace=it, name="b", **pods("b")) for it in "xyz"),
        ),
    ),
    case(
        "ingress and egress of one pod in two policies",
        put(
            policy("ingress", rule("ingress", spaces("y")), name="in", **pods("a")),
            policy("egress", rule("egress", spaces("z")), name="out", **pods("a")),
        ),
    ),
)
