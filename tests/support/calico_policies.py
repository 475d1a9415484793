"""Objects of Calico's policies for one test, and what their refusals say."""

from __future__ import annotations

import pytest

from calico.resources.envelope import API_VERSION
from calico.resources.refusals import InvalidResource
from calico.resources.table import RESOURCE_TYPES, kind_of


def obj(kind, spec=None, name="name-1", **metadata):
    namespace = {"namespace": "default"} if kind_of(RESOURCE_TYPES[kind]).namespaced else {}
    head = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name} | namespace | metadata}
    return head | {"spec": spec or {}}


def refused(kind, spec=None, name="name-1", **metadata):
    with pytest.raises(InvalidResource) as raised:
        RESOURCE_TYPES[kind].from_manifest(obj(kind, spec, name, **metadata))
    return [(it.path, it.reason) for it in raised.value.refusals]
