"""Paths and what they name."""

import pytest

from fabric.api.kinds import LEASE, NAMESPACE, NODE, POD, KindTable
from fabric.apiserver.routes import Target, target_of, unknown_path

KINDS = KindTable()


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/api/v1/pods", Target(POD)),
        ("/api/v1/namespaces/default/pods", Target(POD, "default")),
        ("/api/v1/namespaces/default/pods/", Target(POD, "default")),
        ("/api/v1/namespaces/default/pods/web", Target(POD, "default", "web")),
        ("/api/v1/namespaces/default/pods/web/status", Target(POD, "default", "web", "status")),
        ("/api/v1/namespaces", Target(NAMESPACE)),
        ("/api/v1/namespaces/default", Target(NAMESPACE, "", "default")),
        ("/api/v1/namespaces/default/finalize", Target(NAMESPACE, "", "default", "finalize")),
        ("/api/v1/namespaces/pods/pods/pods", Target(POD, "pods", "pods")),
        ("/api/v1/nodes/node-1/status", Target(NODE, "", "node-1", "status")),
        ("/apis/coordination.k8s.io/v1/namespaces/a/leases/b", Target(LEASE, "a", "b")),
        ("/api/v1/watch/pods", Target(POD, is_watch=True)),
        ("/api/v1/watch/namespaces/a", Target(NAMESPACE, "", "a", is_watch=True)),
        ("/apis/coordination.k8s.io/v1/watch/namespaces/a/leases/b", Target(LEASE, "a", "b", is_watch=True)),
    ],
)
def test_a_path_names_objects(path, target):
    assert target_of(path, KINDS) == target


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/v1",
        "/api/v2/pods",
        "/api/v1/watch",
        "/api/v1/watch/unicorns",
        "/api/v1/watch/namespaces/default/pods/web/status",
        "/api/v1/unicorns",
        "/api/v1/pods/web",
        "/api/v1/namespaces/default/nodes",
        "/api/v1/namespaces//pods",
        "/api/v1/namespaces/default/pods/web/nothing",
        "/api/v1/namespaces/default/pods/web/status/more",
        "/apis/coordination.k8s.io/v1",
        "/apis/other.io/v1/leases",
    ],
)
def test_a_path_that_names_nothing_is_unknown(path):
    assert target_of(path, KINDS) is None


@pytest.mark.parametrize("kind", list(KINDS), ids=str)
def test_a_kinds_own_paths_lead_back_to_it(kind):
    namespace = "default" if kind.namespaced else ""
    assert target_of(kind.path(namespace), KINDS) == Target(kind, namespace)
    for below in ("", *kind.subresources):
        assert target_of(kind.path(namespace, "x", below), KINDS) == Target(kind, namespace, "x", below)


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        (
            "/api/v1/namespaces/default/pods/pod-1/exec",
            ": pods/exec is not served; instead: fabric exec POD -- COMMAND",
        ),
        ("/api/v1/namespaces/a/pods/b/log", ": pods/log is not served; instead: fabric logs POD"),
        (
            "/api/v1/namespaces/default/services",
            ": services of v1 is not served; what is: kubectl api-resources",
        ),
        (
            "/apis/networking.k8s.io/v1/networkpolicies",
            ": networkpolicies of networking.k8s.io/v1 is not served; what is: kubectl api-resources",
        ),
        ("/nothing", ""),
        ("/api", ""),
        ("/apis/apps", ""),
        ("", ""),
    ],
)
def test_a_refused_path_says_what_there_is_instead(path, instead):
    assert unknown_path(path).message == "the server could not find the requested resource" + instead
