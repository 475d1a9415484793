"""Labels as policies see them: a pod's own, those of its orchestrator, and those inherited by profiles.

A pod inherits its namespace's labels with the prefix `pcns.` and its service account's with `pcsa.`, by the
profiles kns.<namespace> and ksa.<namespace>.<account>; what it has itself wins. Selectors of namespaces and
service accounts are therefore selectors of endpoints with another prefix.
"""

from __future__ import annotations

from collections.abc import Mapping

from calico.selector import Always, And, BadSelector, Comparison, Has, Membership, Node, Not, Or, Selector
from fabric.plugin.policies import Endpoint, World
from fabric.plugin.policy_reading import Value

NAMESPACE = "projectcalico.org/namespace"
ORCHESTRATOR = "projectcalico.org/orchestrator"
SERVICE_ACCOUNT = "projectcalico.org/serviceaccount"
NAME = "projectcalico.org/name"
OF_NAMESPACE, OF_SERVICE_ACCOUNT = "pcns.", "pcsa."
LABEL_VALUE_MAX = 63

Labels = Mapping[str, str]
Accounts = Mapping[tuple[str, str], Labels]


def accounts(world: World) -> Accounts:
    """The labels of service accounts by namespace and name."""
    found = {}
    for obj in world.of_kind("ServiceAccount"):
        metadata = Value.of(obj)["metadata"]
        found[metadata["namespace"].text("default"), metadata["name"].text()] = metadata["labels"].labels()
    return found


def of_pod(pod: Endpoint, world: World, known: Accounts) -> Labels:
    """All labels of a pod."""
    own = {**pod.labels, NAMESPACE: pod.namespace, ORCHESTRATOR: "k8s"}
    if pod.service_account and len(pod.service_account) <= LABEL_VALUE_MAX:
        own[SERVICE_ACCOUNT] = pod.service_account
    account = known.get((pod.namespace, pod.service_account))
    inherited = of_namespace(pod.namespace, world)
    if account is not None:
        inherited |= _prefixed_labels(OF_SERVICE_ACCOUNT, {**account, NAME: pod.service_account})
    return {**inherited, **own}


def of_namespace(namespace: str, world: World) -> dict[str, str]:
    """The labels that everything in a namespace inherits."""
    return _prefixed_labels(OF_NAMESPACE, {**world.labels_of(namespace), NAME: namespace})


def _prefixed_labels(prefix: str, labels: Labels) -> dict[str, str]:
    return {f"{prefix}{key}": value for key, value in labels.items()}


def parse(value: Value) -> Node | None:
    """The selector at a place; None where there is none."""
    text = value.text()
    if not text.strip():
        return None
    try:
        return Selector.parse(text).root
    except BadSelector as error:
        value.refuse(str(error))


def both(*nodes: Node | None) -> Node | None:
    """The conjunction of those that are given; None for none."""
    given = tuple(it for it in nodes if it is not None)
    return And(given) if len(given) > 1 else next(iter(given), None)


def of_namespaces(node: Node) -> Node:
    """A namespace selector as one of endpoints: `all()` is what is in one, `global()` what is in none."""
    return _prefixed(node, OF_NAMESPACE, {"all": Has(NAMESPACE), "global": Not(Has(NAMESPACE))})


_EVERYTHING = Always()


def of_accounts(node: Node, *, everybody: Node = _EVERYTHING) -> Node:
    """A selector of service accounts as one of endpoints; `all()` becomes `everybody`."""
    return _prefixed(node, OF_SERVICE_ACCOUNT, {"all": everybody})


def _prefixed(node: Node, prefix: str, words: Mapping[str, Node]) -> Node:
    match node:
        case Comparison(label, operator, value):
            return Comparison(prefix + label, operator, value)
        case Membership(label, values, inside):
            return Membership(prefix + label, values, inside)
        case Has(label):
            return Has(prefix + label)
        case Not(operand):
            return Not(_prefixed(operand, prefix, words))
        case And(operands):
            return And(tuple(_prefixed(it, prefix, words) for it in operands))
        case Or(operands):
            return Or(tuple(_prefixed(it, prefix, words) for it in operands))
        case Always(word):
            return words.get(word, node)
