"""The rules of selectors, affinity, tolerations and topology spread: all that chooses by labels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from fabric.api.names import label_value_faults
from fabric.api.objects import Object
from fabric.apiserver.refusals import Cause, duplicate, forbidden_field, invalid_value, required
from fabric.apiserver.validation.rules import (
    Check,
    Rules,
    Table,
    at_least,
    between,
    dns_label,
    each,
    label_key,
    label_value,
    labels,
    one_of,
    qualified_name,
    subdomain,
)

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_NO_OPERATOR = "not a valid selector operator"
_weight = between(1, 100, "must be in the range 1-100")
TAINT_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")


def _requirement(*, numeric: bool) -> Check:
    """An expression on a label; only those of node affinity compare numbers."""

    def check(path: str, value: Object) -> Iterator[Cause]:
        yield from qualified_name(f"{path}.key", value.get("key", ""))
        operator, values = value.get("operator", ""), value.get("values") or []
        if operator in ("In", "NotIn"):
            if not values:
                yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
            yield from each(label_value)(f"{path}.values", values)
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                yield forbidden_field(f"{path}.values", why)
        elif numeric and operator in ("Gt", "Lt"):
            yield from _one_integer(f"{path}.values", values)
        else:
            yield invalid_value(f"{path}.operator", operator, _NO_OPERATOR)

    return check


def _one_integer(path: str, values: list[str]) -> Iterator[Cause]:
    if len(values) != 1:
        yield required(path, "must be specified single value when `operator` is 'Lt' or 'Gt'")
    elif not _INTEGER.fullmatch(values[0]):
        yield invalid_value(f"{path}[0]", values[0], "must be an integer when `operator` is 'Lt' or 'Gt'")


def _field_expression(path: str, value: Object) -> Iterator[Cause]:
    """An expression on a field of the node, of which there is one: its name."""
    key, operator, values = value.get("key", ""), value.get("operator", ""), value.get("values") or []
    if operator not in ("In", "NotIn"):
        yield invalid_value(f"{path}.operator", operator, _NO_OPERATOR)
    elif len(values) != 1:
        why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        yield required(f"{path}.values", why)
    if key != "metadata.name":
        yield invalid_value(f"{path}.key", key, "not a valid field selector key")
    else:
        yield from each(subdomain)(f"{path}.values", values)


def _toleration(path: str, value: Object) -> Iterator[Cause]:
    key, operator = value.get("key", ""), value.get("operator", "")
    yield from label_key(f"{path}.key", key)
    if not key and operator != "Exists":
        why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        yield invalid_value(f"{path}.operator", operator, why)
    if "tolerationSeconds" in value and value.get("effect") != "NoExecute":
        why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        yield invalid_value(f"{path}.effect", value.get("effect", ""), why)
    if operator in ("", "Equal"):
        faults = label_value_faults(value.get("value", ""))
        if faults:
            yield invalid_value(f"{path}.operator", value["value"], ";".join(faults))
    elif operator == "Exists" and value.get("value"):
        yield invalid_value(f"{path}.operator", value, "value must be empty when `operator` is 'Exists'")


def _spread(path: str, value: Object) -> Iterator[Cause]:
    when = value.get("whenUnsatisfiable")
    if "minDomains" in value and when != "DoNotSchedule":
        why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}"
        yield invalid_value(f"{path}.minDomains", value["minDomains"], why)
    yield from _label_keys(path, value, ("matchLabelKeys",))


def _label_keys(path: str, value: Object, fields: tuple[str, ...]) -> Iterator[Cause]:
    """Keys whose values come from the pod itself: they complete a selector, where they stand once by then."""
    selector = value.get("labelSelector")
    expressions = [each.get("key") for each in (selector or {}).get("matchExpressions") or ()]
    selected = Counter([*expressions, *((selector or {}).get("matchLabels") or {})])
    for name in fields:
        keys = value.get(name) or []
        if keys and selector is None:
            yield forbidden_field(f"{path}.{name}", "must not be specified when labelSelector is not set")
        for i, key in enumerate(keys):
            yield from qualified_name(f"{path}.{name}[{i}]", key)
            if name == "matchLabelKeys" and selected[key] > 1:
                yield invalid_value(
                    f"{path}.{name}[{i}]", key, "exists in both matchLabelKeys and labelSelector"
                )


def _pod_term(path: str, value: Object) -> Iterator[Cause]:
    yield from _label_keys(path, value, ("matchLabelKeys", "mismatchLabelKeys"))
    both = set(value.get("matchLabelKeys") or ()) & set(value.get("mismatchLabelKeys") or ())
    for key in sorted(both):
        yield invalid_value(
            f"{path}.matchLabelKeys", key, "exists in both matchLabelKeys and mismatchLabelKeys"
        )
    for name in value.get("namespaces") or ():
        yield from dns_label(f"{path}.namespace", name)


def spread_constraints(path: str, value: list[Object]) -> Iterator[Cause]:
    """No topology may be constrained twice in the same way."""
    seen = set()
    for i, constraint in enumerate(value):
        pair = constraint.get("topologyKey", ""), constraint.get("whenUnsatisfiable", "")
        if pair in seen:
            yield duplicate(f"{path}[{i}].{{topologyKey, whenUnsatisfiable}}", f"{{{pair[0]}, {pair[1]}}}")
        seen.add(pair)


_CANNOT_BE_EMPTY = {"topologyKey": "can not be empty"}
_honor = one_of("Honor", "Ignore")

RULES: Table = {
    "LabelSelector": Rules(
        fields={"matchLabels": labels, "matchExpressions": each(_requirement(numeric=False))}
    ),
    "NodeSelector": Rules(required={"nodeSelectorTerms": "must have at least one node selector term"}),
    "NodeSelectorTerm": Rules(
        fields={"matchExpressions": each(_requirement(numeric=True)), "matchFields": each(_field_expression)}
    ),
    "PreferredSchedulingTerm": Rules(fields={"weight": _weight}),
    "WeightedPodAffinityTerm": Rules(fields={"weight": _weight}),
    "PodAffinityTerm": Rules(_CANNOT_BE_EMPTY, {"topologyKey": label_key}, (_pod_term,)),
    "Toleration": Rules(
        fields={
            "operator": one_of("Equal", "Exists", empty=True),
            "effect": one_of(*TAINT_EFFECTS, empty=True),
        },
        whole=(_toleration,),
    ),
    "TopologySpreadConstraint": Rules(
        _CANNOT_BE_EMPTY,
        {
            "maxSkew": at_least(1),
            "minDomains": at_least(1),
            "topologyKey": label_key,
            "whenUnsatisfiable": one_of("DoNotSchedule", "ScheduleAnyway"),
            "nodeAffinityPolicy": _honor,
            "nodeTaintsPolicy": _honor,
        },
        (_spread,),
    ),
}
