"""matchLabelKeys and mismatchLabelKeys of a new pod become expressions of their selectors.

Their values are the pod's own labels (applyLabelKeysToLabelSelector): from then on the selector says all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fabric.api.objects import Object

_OPERATORS = (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def merged(spec: Object, labels: Mapping[str, str]) -> Object:
    """Return the spec with the keys of its pod terms and spread constraints merged; itself if it has none."""
    spec = _changed(spec, "topologySpreadConstraints", lambda each: _term(each, labels))
    return _changed(spec, "affinity", lambda affinity: _affinity(affinity, labels))


def _affinity(affinity: Object, labels: Mapping[str, str]) -> Object:
    for kind in ("podAffinity", "podAntiAffinity"):
        affinity = _changed(affinity, kind, lambda terms: _terms(terms, labels))
    return affinity


def _terms(terms: Object, labels: Mapping[str, str]) -> Object:
    def weighted(each: Object) -> Object:
        return _changed(each, "podAffinityTerm", lambda term: _term(term, labels))

    return _changed(_changed(terms, _REQUIRED, lambda each: _term(each, labels)), _PREFERRED, weighted)


def _term(term: Object, labels: Mapping[str, str]) -> Object:
    own = [
        {"key": key, "operator": operator, "values": [labels[key]]}
        for field, operator in _OPERATORS
        for key in term.get(field) or ()
        if key in labels
    ]
    selector = term.get("labelSelector")
    if not own or selector is None:
        return term
    expressions = [*(selector.get("matchExpressions") or ()), *own]
    return {**term, "labelSelector": {**selector, "matchExpressions": expressions}}


def _changed(obj: Object, field: str, change: Any) -> Object:
    """The object with a field, or each item of its list, changed; the same object where nothing is."""
    value = obj.get(field)
    if not value:
        return obj
    new = [change(item) for item in value] if isinstance(value, list) else change(value)
    return obj if new == value else {**obj, field: new}
