"""The objects among which policies are measured: pods and policies divided among apps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fabric.api.objects import Object
from fabric.bench import up as ups
from fabric.bench.policy_steps import CLIENT, CLIENTS, TARGET

APPS = 50
"""The labels among which pods and policies are divided."""


def objects(nodes: int, pods: int, policies: int) -> Iterator[Object]:
    """All that is there while `bench policy` measures."""
    namespace = {"name": CLIENTS, "labels": {"team": "clients"}}
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": namespace}
    yield pod(CLIENT, CLIENTS, {"role": "client"}, 1)
    for number in range(1, nodes + 1):
        yield pod(f"{TARGET}-{number}", "default", {"role": TARGET}, number)
    for number in range(1, pods - nodes):
        yield pod(f"pod-{number}", "default", app(number))
    for number in range(1, policies + 1):
        yield policy(number)


def app(number: int) -> Mapping[str, str]:
    """The label of a pod or policy of that number."""
    return {"app": f"app-{number % APPS}"}


def pod(name: str, namespace: str, labels: Mapping[str, str], node: int = 0) -> Object:
    """A pod; it may be for one node."""
    made = ups.pod(0)
    made["metadata"] = {"name": name, "namespace": namespace, "labels": dict(labels)}
    if node:
        made["spec"]["nodeSelector"] = {"kubernetes.io/hostname": f"node-{node}"}
    return made


def policy(number: int) -> Object:
    """A policy for one app that lets another in, by a port of its own."""
    source = {"podSelector": {"matchLabels": app(number + 1)}}
    rule = {"from": [source], "ports": [{"protocol": "TCP", "port": 1000 + number}]}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"policy-{number}", "namespace": "default"},
        "spec": {"podSelector": {"matchLabels": app(number)}, "ingress": [rule]},
    }
