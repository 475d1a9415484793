"""Cases of Calico's own policies: order, actions, tiers, selectors, sets, and what is negated."""

from __future__ import annotations

from support.policy_cases.steps import Direction, case, delete, policy, put
from support.policy_objects import Object
from support.policy_words import spaces
from support.policy_worlds import calico

X = {"selector": "pod in {'a', 'b', 'c'}"}
"""All pods that a case is about, and not those of the fence."""
ENTITIES = {
    "a pod by its label": {"selector": "pod == 'a'"},
    "pods but one": {"selector": "pod != 'a'"},
    "pods that have a label": {"selector": "has(pod)"},
    "pods that have not a label": {"selector": "!has(pod)"},
    "one of values": {"selector": "pod in {'a', 'b'}"},
    "none of values": {"selector": "pod not in {'a', 'b'}"},
    "a value that contains": {"selector": "pod contains 'b'"},
    "a value that starts with": {"selector": "pod starts with 'c'"},
    "a value that ends with": {"selector": "pod ends with 'c'"},
    "either, but not both": {"selector": "(pod == 'a' || pod == 'b') && !(pod == 'b')"},
    "all of the namespace": {"selector": "all()"},
    "a namespace": {"namespaceSelector": "ns == 'y'"},
    "a namespace by its name": {"namespaceSelector": "projectcalico.org/name == 'z'"},
    "pods of a namespace": {"selector": "pod == 'b'", "namespaceSelector": "ns in {'y', 'z'}"},
    "pods of a namespace, told by one selector": {"selector": "projectcalico.org/namespace == 'y'"},
    "everything but a pod": {"notSelector": "pod == 'a'"},
    "a network": {"nets": ["{y/a}/26"]},
    "two networks": {"nets": ["{y/a}/32", "{z/b}/32"]},
    "everything but a network": {"notNets": ["{y/a}/26"]},
    "a network but a part": {"nets": ["10.244.0.0/16"], "notNets": ["{y/a}/32", "{z/a}/32"]},
    "nothing, for all is excepted": {"notNets": ["0.0.0.0/0"]},
    "pods in a network": {"selector": "pod == 'a'", "namespaceSelector": "all()", "nets": ["{y/a}/26"]},
    "accounts by name": {"serviceAccounts": {"names": ["robot"]}},
    "accounts by label": {"serviceAccounts": {"selector": "projectcalico.org/name == 'default'"}},
}
MATCHES = {
    "a port": {"protocol": "TCP", "destination": {"ports": [80]}},
    "a range": {"protocol": "UDP", "destination": {"ports": ["80:81"]}},
    "ports and a name": {"protocol": "TCP", "destination": {"ports": [82, "serve-81-tcp"]}},
    "all ports but one": {"protocol": "TCP", "destination": {"notPorts": [80]}},
    "all ports but a name": {"protocol": "UDP", "destination": {"notPorts": ["serve-80-udp"]}},
    "a protocol": {"protocol": "UDP"},
    "a protocol's number": {"protocol": 6},
    "all protocols but one": {"notProtocol": "TCP"},
    "source ports": {"protocol": "TCP", "source": {"ports": ["1024:65535"]}},
    "source ports that nobody uses": {"protocol": "TCP", "source": {"ports": [1]}},
    "IPv4": {"ipVersion": 4},
    "IPv6": {"ipVersion": 6},
    "more ports than one rule of iptables holds": {
        "protocol": "TCP",
        "destination": {"ports": list(range(50, 82, 2))},
    },
    "many ports from many networks": {
        "protocol": "TCP",
        "destination": {"ports": list(range(50, 82, 2))},
        "source": {"nets": ["{x/a}/32", "{y/a}/32", "{z/a}/32"], "notNets": ["{y/a}/32", "{y/b}/32"]},
    },
}


def rule(action: str = "Allow", **more: Object) -> Object:
    return {"action": action, **more}


def at(kind: str, name: str, *, namespace: str = "", order: float | None = None, **spec: object) -> Object:
    """A policy, of all pods that the cases are about unless it says another selector."""
    more = {} if order is None else {"order": order}
    return calico(kind, name, namespace, **{**X, **more, **spec})


def of_x(name: str, *rules: Object, direction: Direction = "ingress", **spec: object) -> Object:
    return at("NetworkPolicy", name, namespace="x", **{direction: [*rules]}, **spec)


def of_all(name: str, *rules: Object, direction: Direction = "ingress", **spec: object) -> Object:
    return at("GlobalNetworkPolicy", name, **{direction: [*rules]}, **spec)


Y, Z = {"namespaceSelector": "ns == 'y'"}, {"namespaceSelector": "ns == 'z'"}
FROM_Y, NOT_Y = rule(source=Y), rule("Deny", source=Y)
FIRST = calico("Tier", "first", order=10)
LAST = calico("Tier", "last", order=2_000_000)
PASSING = calico("Tier", "first", order=10, defaultAction="Pass")
SETS = [calico("NetworkSet", "friends", "x", labels={"role": "friend"}, nets=["{y/a}/32", "{z/b}/32"])]
WIDE = calico("GlobalNetworkSet", "wide", labels={"role": "wide"}, nets=["{y/a}/26"])
_ORDERS: dict[str, list[Object]] = {
    "a lower order decides": [of_x("b", NOT_Y, order=1), of_x("a", rule(), order=2)],
    "a higher order comes later": [of_x("b", NOT_Y, order=2), of_x("a", rule(), order=1)],
    "of the same order the name decides": [of_x("a", NOT_Y, order=5), of_x("b", rule(), order=5)],
    "no order comes last": [of_x("a", rule()), of_x("b", NOT_Y, order=1_000_000)],
    "the first rule that matches decides": [of_x("a", NOT_Y, rule())],
    "a log goes on to the next rule": [of_x("a", rule("Log"), NOT_Y, rule("Log"), rule())],
    "a pass of the only tier leads to the profiles": [of_x("a", rule("Pass", source=Y)), of_x("b", order=1)],
    "what no rule of a policy matches is dropped": [of_x("a", FROM_Y)],
    "a global policy before one of a namespace": [of_all("a", NOT_Y, order=1), of_x("b", rule(), order=2)],
    "a global policy behind one of a namespace": [of_all("a", NOT_Y, order=2), of_x("b", rule(), order=1)],
    "Kubernetes' come at order 1000, before": [policy("ingress", {}), of_x("deny", NOT_Y, order=1001)],
    "Kubernetes' come at order 1000, behind": [policy("ingress", {}), of_x("deny", NOT_Y, order=999)],
    "Kubernetes' close, one with an order before opens": [policy("ingress"), of_x("a", FROM_Y, order=1)],
    "a tier before the default one denies": [
        FIRST,
        of_all("first.a", NOT_Y, rule(), tier="first"),
        policy("ingress", {}),
    ],
    "a tier passes what the default one judges": [
        FIRST,
        of_all("first.a", NOT_Y, rule("Pass"), tier="first"),
        policy("ingress", {"from": [spaces("y"), spaces("z")]}),
    ],
    "a tier passes, and nobody else judges": [FIRST, of_all("first.a", NOT_Y, rule("Pass"), tier="first")],
    "a tier ends with a drop": [FIRST, of_all("first.a", FROM_Y, tier="first"), policy("ingress", {})],
    "a tier ends with a pass": [
        PASSING,
        of_all("first.a", NOT_Y, tier="first"),
        policy("ingress", {"from": [spaces("z")]}),
    ],
    "a tier behind the default one": [
        LAST,
        of_all("last.a", FROM_Y, tier="last"),
        of_x("pass", rule("Pass"), order=1),
    ],
    "a tier without a policy of a pod is no tier of it": [
        FIRST,
        of_all("first.a", selector="pod == 'z'", tier="first"),
    ],
    "an egress tier and an ingress tier": [
        FIRST,
        of_all("first.a", NOT_Y, rule("Pass"), tier="first"),
        of_all("first.b", rule("Deny", destination=Z), rule("Pass"), direction="egress", tier="first"),
        policy("egress", {"to": [spaces("x"), spaces("y"), spaces("z")]}, namespace="y"),
    ],
}
_KINDS: dict[str, list[Object]] = {
    "without types and rules it is of ingress": [at("NetworkPolicy", "a", namespace="x")],
    "with rules of egress alone it is of egress": [of_x("a", FROM_Y | {"source": {}}, direction="egress")],
    "types say more than rules": [of_x("a", rule(), types=["Ingress", "Egress"])],
    "a global policy of one namespace": [of_all("a", FROM_Y, namespaceSelector="ns == 'x'")],
    "a global policy of pods by name": [of_all("a", FROM_Y, selector="pod == 'b'")],
    "egress to a namespace": [of_x("a", rule(destination=Y), direction="egress")],
    "egress to a port of all but a namespace": [
        of_x(
            "a",
            rule(protocol="TCP", destination={**Y, "ports": [80]}),
            rule("Deny", destination=Y),
            rule(),
            direction="egress",
        )
    ],
    "the source is judged at its own end too": [
        of_x("a", rule(source={"selector": "pod == 'b'"}), rule("Deny"), direction="egress")
    ],
    "a set of networks": [*SETS, of_x("a", rule(source={"selector": "role == 'friend'"}))],
    "a set of networks, and pods of the same label": [
        *SETS,
        of_x("a", rule(source={"selector": "role == 'friend' || pod == 'c'"})),
    ],
    "a set of networks of another namespace is not seen": [
        *SETS,
        at("NetworkPolicy", "a", namespace="y", ingress=[rule(source={"selector": "role == 'friend'"})]),
    ],
    "a global set of networks": [
        WIDE,
        of_x("a", rule(source={"selector": "role == 'wide'", "namespaceSelector": "global()"})),
    ],
    "everything but a global set": [
        WIDE,
        of_all("a", rule("Deny", source={"selector": "role == 'wide'"}), rule()),
    ],
    "pods by their account": [
        of_x("a", FROM_Y, serviceAccountSelector="projectcalico.org/name == 'default'")
    ],
    "a staged policy does nothing": [at("StagedNetworkPolicy", "a", namespace="x", ingress=[])],
    "a staged policy beside one that is not": [
        at("StagedNetworkPolicy", "a", namespace="x", order=1, ingress=[rule()]),
        of_x("b", FROM_Y, order=2),
    ],
}
CASES = (
    *(
        case(f"Calico: ingress from {name}", put(of_x("a", rule(source=entity))))
        for name, entity in ENTITIES.items()
    ),
    *(case(f"Calico: by {name}", put(of_x("a", rule(**match)))) for name, match in MATCHES.items()),
    *(case(f"Calico: {name}", put(*objects)) for name, objects in {**_ORDERS, **_KINDS}.items()),
    case(
        "Calico: an order changes",
        put(of_x("deny", NOT_Y, order=1), of_x("allow", rule(), order=2)),
        put(of_x("deny", NOT_Y, order=3)),
        put(of_x("allow", rule(), order=4)),
    ),
    case(
        "Calico: a tier comes and goes",
        put(policy("ingress", {})),
        put(FIRST, of_all("first.a", NOT_Y, rule("Pass"), tier="first")),
        delete(of_all("first.a"), FIRST),
    ),
    case(
        "Calico: a tier changes places",
        put(FIRST, of_all("first.a", FROM_Y, tier="first"), of_x("b", rule())),
        put(calico("Tier", "first", order=3_000_000)),
    ),
    case(
        "Calico: a tier comes to pass at its end",
        put(FIRST, of_all("first.a", NOT_Y, tier="first"), policy("ingress", {})),
        put(PASSING),
    ),
    case(
        "Calico: a set of networks changes",
        put(*SETS, of_x("a", rule(source={"selector": "role == 'friend'"}))),
        put(calico("NetworkSet", "friends", "x", labels={"role": "friend"}, nets=["{z/b}/32", "{y/c}/32"])),
        put(calico("NetworkSet", "friends", "x", labels={"role": "stranger"}, nets=["{z/b}/32"])),
    ),
    case(
        "Calico: a policy's selector and its rules change at once",
        put(of_x("a", FROM_Y)),
        put(of_x("a", NOT_Y, rule(), selector="pod == 'b'")),
    ),
)
