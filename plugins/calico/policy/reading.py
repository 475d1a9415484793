"""Rules of Calico's policies, read from their JSON.

A policy of a namespace means that namespace alone as soon as one of a rule's selectors is given and no
namespace selector is; a `notSelector` narrows that, it does not widen it.
"""

from __future__ import annotations

import re

import orjson

from calico.policy import labels
from calico.policy.rules import ACTIONS, Entity, Icmp, PortMatch, Rule
from calico.selector import Comparison, Membership, Node
from fabric.plugin.policies import protocol_number
from fabric.plugin.policy_reading import Value

PORT_MAX = 65535
_RANGE = re.compile(r"(\d+):(\d+)")
_PORT_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_RULE_FIELDS = (
    *("action", "ipVersion", "protocol", "notProtocol", "icmp", "notICMP"),
    *("source", "destination", "http", "metadata"),
)
_ENTITY_FIELDS = (
    *("nets", "notNets", "selector", "notSelector", "namespaceSelector"),
    *("ports", "notPorts", "serviceAccounts", "services"),
)


def rules(value: Value, namespace: str = "") -> tuple[Rule, ...]:
    """The rules of a list; `namespace` is that of the policy, empty for one of the whole cluster."""
    return tuple(_rule(index, it, namespace) for index, it in enumerate(value))


def _rule(index: int, rule: Value, namespace: str) -> Rule:
    rule.only(*_RULE_FIELDS)
    action = rule["action"]
    if not action.is_given:
        action.refuse(f"must be one of {', '.join(ACTIONS)}")
    version = rule["ipVersion"].whole(4, 6)
    if version == 5:
        rule["ipVersion"].refuse("must be 4 or 6")
    return Rule(
        index,
        action.choice(*ACTIONS),
        orjson.dumps(rule.value).decode(),
        version,
        _protocol(rule["protocol"]),
        _protocol(rule["notProtocol"]),
        _icmp(rule["icmp"]),
        _icmp(rule["notICMP"]),
        _entity(rule["source"], namespace),
        _entity(rule["destination"], namespace),
    )


def _entity(value: Value, namespace: str) -> Entity:
    value.only(*_ENTITY_FIELDS)
    return Entity(
        value["nets"].networks(),
        value["notNets"].networks(),
        _selector(value, namespace),
        labels.parse(value["notSelector"]),
        tuple(map(_port, value["ports"])),
        tuple(map(_port, value["notPorts"])),
        _service(value["services"], namespace),
        value.path,
    )


def _selector(value: Value, namespace: str) -> Node | None:
    """The selector of endpoints that the fields of an entity together mean."""
    selector = labels.parse(value["selector"])
    account = _accounts(value["serviceAccounts"])
    spaces = labels.parse(value["namespaceSelector"])
    restricts = labels.both(account, selector)
    if spaces is not None:
        return labels.both(labels.of_namespaces(spaces), restricts)
    is_restricted = restricts is not None or labels.parse(value["notSelector"]) is not None
    if namespace and is_restricted:
        return labels.both(Comparison(labels.NAMESPACE, "==", namespace), restricts)
    return restricts


def _accounts(value: Value) -> Node | None:
    value.only("names", "selector")
    selector = labels.parse(value["selector"])
    names = value["names"].texts()
    return labels.both(
        None if selector is None else labels.of_accounts(selector),
        Membership(labels.SERVICE_ACCOUNT, tuple(sorted(set(names)))) if names else None,
    )


def _service(value: Value, namespace: str) -> tuple[str, str] | None:
    value.only("name", "namespace")
    name = value["name"].text()
    return (value["namespace"].text() or namespace, name) if name else None


def _protocol(value: Value) -> int | None:
    if not value.is_given:
        return None
    try:
        return protocol_number(value.value)
    except ValueError as error:
        value.refuse(str(error))


def _icmp(value: Value) -> Icmp | None:
    """The type and code that are named; None where neither is, for then Felix has nothing to match."""
    if not value.is_given:
        return None
    value.only("type", "code")
    found = Icmp(value["type"].whole(0, 255), value["code"].whole(0, 255))
    return None if found == Icmp() else found


def _port(value: Value) -> PortMatch:
    if not isinstance(value.value, str):
        number = value.whole(0, PORT_MAX) or 0
        return PortMatch(number, number, path=value.path)
    text = value.text()
    if text.isdecimal():
        first = last = int(text)
    elif found := _RANGE.fullmatch(text):
        first, last = map(int, found.groups())
    elif _PORT_NAME.fullmatch(text):
        return PortMatch(name=text, path=value.path)
    else:
        value.refuse(f"{text!r} is no port: a number, a range such as 80:90, or a name")
    if not first <= last <= PORT_MAX:
        value.refuse(f"{text!r} is no range of ports")
    return PortMatch(first, last, path=value.path)
