"""The changes of `fabric bench policy`: each opens or closes the way from the client to every target."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fabric.api import kinds
from fabric.api.kinds import Kind
from fabric.api.objects import Object
from fabric.control.client import Client

CLIENT, CLIENTS, TARGET, POLICY = "client", "clients", "target", "targets"
"""The client and its namespace, the beginning of the targets' names, and the policy that changes."""


@dataclass(frozen=True, slots=True)
class Step:
    """A change, made by one request."""

    change: str
    """What kind of change it is."""
    opens: bool
    make: Callable[[Client], Awaitable[object]]


def _policy(*ingress: Object) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": POLICY, "namespace": "default"},
        "spec": {
            "podSelector": {"matchLabels": {"role": TARGET}},
            "policyTypes": ["Ingress"],
            "ingress": list(ingress),
        },
    }


_PEER = {
    "namespaceSelector": {"matchLabels": {"team": "clients"}},
    "podSelector": {"matchLabels": {"role": "client"}},
}


def _update(*ingress: Object) -> Callable[[Client], Awaitable[object]]:
    patch = {"spec": {"ingress": list(ingress)}}
    return lambda it: it.patch(kinds.NETWORK_POLICY, POLICY, patch, namespace="default")


def _label(
    kind: Kind, name: str, namespace: str, label: str, value: str
) -> Callable[[Client], Awaitable[object]]:
    patch = {"metadata": {"labels": {label: value}}}
    return lambda it: it.patch(kind, name, patch, namespace=namespace)


STEPS = (
    Step("policy create", False, lambda it: it.create(kinds.NETWORK_POLICY, _policy())),
    Step("policy update", True, _update({"from": [_PEER]})),
    Step("pod label", False, _label(kinds.POD, CLIENT, CLIENTS, "role", "other")),
    Step("pod label", True, _label(kinds.POD, CLIENT, CLIENTS, "role", "client")),
    Step("namespace label", False, _label(kinds.NAMESPACE, CLIENTS, "", "team", "others")),
    Step("namespace label", True, _label(kinds.NAMESPACE, CLIENTS, "", "team", "clients")),
    Step("policy update", False, _update()),
    Step("policy delete", True, lambda it: it.delete(kinds.NETWORK_POLICY, POLICY, "default")),
)
"""A round: it ends as it began."""
