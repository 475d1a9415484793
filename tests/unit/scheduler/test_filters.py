"""Each filter as a table: a pod, a cluster, and the reason or none."""

from __future__ import annotations

from typing import Any

import pytest
from support.scheduling import cluster, info, node, pod

from fabric.scheduler.placement import feasible, place

FITS = ""


def why(wanted: dict[str, Any], nodes: list[Any], pods: list[Any] | tuple[()] = (), name: str = "") -> str:
    """The reasons why the pod may not go to the (first or named) node."""
    state = cluster(nodes, pods)
    target = state.node(name or nodes[0]["metadata"]["name"])
    assert target is not None
    return "; ".join(feasible(info(**wanted), target, state))


def affinity(kind: str, *terms: Any, preferred: bool = False) -> dict[str, Any]:
    when = "preferred" if preferred else "required"
    return {kind: {f"{when}DuringSchedulingIgnoredDuringExecution": list(terms)}}


def node_terms(*terms: Any) -> dict[str, Any]:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"affinity": {"nodeAffinity": required}}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def near(labels: dict[str, str], key: str = "zone", **more: Any) -> dict[str, Any]:
    return {"labelSelector": {"matchLabels": labels}, "topologyKey": key} | more


NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
GPU = {"key": "gpu", "value": "yes", "effect": "NoExecute"}
NO_MATCH = "node(s) didn't match Pod's node affinity/selector"


@pytest.mark.parametrize(
    ("tolerations", "taints", "reason"),
    [
        ([], [], FITS),
        ([], [NOT_READY], "node(s) had untolerated taint {node.kubernetes.io/not-ready: }"),
        ([], [GPU], "node(s) had untolerated taint {gpu: yes}"),
        ([], [GPU | {"effect": "PreferNoSchedule"}], FITS),
        ([{"key": "gpu", "operator": "Equal", "value": "yes"}], [GPU], FITS),
        (
            [{"key": "gpu", "value": "no"}],
            [GPU],
            "node(s) had untolerated taint {gpu: yes}",
        ),
        ([{"key": "gpu", "operator": "Exists", "effect": "NoExecute"}], [GPU], FITS),
        ([{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}], [GPU], "gpu: yes"),
        ([{"operator": "Exists"}], [GPU, NOT_READY], FITS),
    ],
)
def test_taints_keep_pods_away_that_do_not_tolerate_them(tolerations: Any, taints: Any, reason: str) -> None:
    found = why({"tolerations": tolerations}, [node("node-1", taints=taints)])
    assert reason in found and bool(reason) == bool(found)


def test_a_cordoned_node_takes_only_pods_that_tolerate_it() -> None:
    cordoned = [node("node-1", unschedulable=True)]
    assert why({}, cordoned) == "node(s) were unschedulable"
    tolerated = {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}
    assert why({"tolerations": [tolerated]}, cordoned) == FITS


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"nodeSelector": {"disk": "ssd"}}, FITS),
        ({"nodeSelector": {"disk": "ssd", "arch": "arm"}}, NO_MATCH),
        (node_terms(expression("disk", "In", "ssd", "nvme")), FITS),
        (node_terms(expression("disk", "NotIn", "ssd")), NO_MATCH),
        (node_terms(expression("none", "NotIn", "ssd")), FITS),
        (node_terms(expression("disk", "Exists")), FITS),
        (node_terms(expression("disk", "DoesNotExist")), NO_MATCH),
        (node_terms(expression("size", "Gt", "5")), FITS),
        (node_terms(expression("size", "Lt", "5")), NO_MATCH),
        (node_terms(expression("disk", "Gt", "5")), NO_MATCH),
        (node_terms(expression("disk", "In", "hdd"), expression("size", "Exists")), FITS),
        (node_terms({}), NO_MATCH),
        (
            node_terms({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]}),
            FITS,
        ),
        (
            node_terms({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["x"]}]}),
            NO_MATCH,
        ),
        ({"nodeSelector": {"disk": "hdd"}} | node_terms(expression("disk", "Exists")), NO_MATCH),
    ],
)
def test_node_affinity_and_selector_choose_by_label_and_name(wanted: Any, reason: str) -> None:
    assert why(wanted, [node("node-1", labels={"disk": "ssd", "size": "7"})]) == reason


@pytest.mark.parametrize(
    ("requests", "reason"),
    [
        ({}, FITS),
        ({"cpu": "1", "memory": "1Gi"}, FITS),
        ({"cpu": "1001m"}, "Insufficient cpu"),
        ({"cpu": "2", "memory": "8Gi"}, "Insufficient cpu; Insufficient memory"),
        ({"example.com/gpu": "1"}, "Insufficient example.com/gpu"),
    ],
)
def test_requests_must_fit_into_what_is_free(requests: dict[str, str], reason: str) -> None:
    running = [pod("other", on="node-1", requests={"cpu": "3", "memory": "1Gi"})]
    assert why({"requests": requests}, [node("node-1")], running) == reason


def test_a_node_takes_only_so_many_pods() -> None:
    full = [node("node-1", allocatable={"pods": "1"})]
    assert why({}, full, [pod("other", on="node-1")]) == "Too many pods"


def test_init_containers_need_the_largest_of_them_and_sidecars_add_up() -> None:
    def step(cpu: str, **more: Any) -> dict[str, Any]:
        return {"name": "init", "resources": {"requests": {"cpu": cpu}}} | more

    start = [step("1"), step("2"), step("500m", restartPolicy="Always"), step("3")]
    assert info(requests={"cpu": "1"}, initContainers=start).requests["cpu"] == 3_500
    assert info(requests={"cpu": "4"}, initContainers=start).requests["cpu"] == 4_500
    assert info(requests={"cpu": "4"}, overhead={"cpu": "250m"}).requests["cpu"] == 4_250


@pytest.mark.parametrize(
    ("port", "taken", "fits"),
    [
        ({"hostPort": 80}, {"hostPort": 80}, False),
        ({"hostPort": 80}, {"hostPort": 81}, True),
        ({"hostPort": 80, "protocol": "UDP"}, {"hostPort": 80}, True),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80, "hostIP": "10.0.0.2"}, True),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80}, False),
        ({"containerPort": 80}, {"containerPort": 80}, True),
    ],
)
def test_host_ports_are_used_once(port: Any, taken: Any, fits: bool) -> None:
    def with_port(wanted: Any) -> list[Any]:
        return [{"name": "main", "ports": [wanted]}]

    running = pod("other", on="node-1", containers=with_port(taken))
    reason = why({"containers": with_port(port)}, [node("node-1")], [running])
    assert reason == (FITS if fits else "node(s) didn't have free ports for the requested pod ports")


ZONES = [node("node-1", labels={"zone": "a"}), node("node-2", labels={"zone": "b"}), node("node-3")]
WEB = pod("web-1", on="node-1", labels={"app": "web"})


@pytest.mark.parametrize(
    ("kind", "term", "fitting"),
    [
        ("podAffinity", near({"app": "web"}), ["node-1"]),
        ("podAffinity", near({"app": "db"}), []),
        ("podAffinity", near({"app": "web"}, namespaces=["other"]), []),
        ("podAffinity", near({"app": "web"}, namespaceSelector={}), ["node-1"]),
        ("podAffinity", near({"app": "web"}, namespaceSelector={"matchLabels": {"team": "red"}}), ["node-1"]),
        ("podAffinity", near({"app": "web"}, namespaceSelector={"matchLabels": {"team": "blue"}}), []),
        ("podAntiAffinity", near({"app": "web"}), ["node-2", "node-3"]),
        ("podAntiAffinity", near({"app": "db"}), ["node-1", "node-2", "node-3"]),
    ],
)
def test_required_pod_affinity_follows_or_avoids_domains(kind: str, term: Any, fitting: list[str]) -> None:
    state = cluster(ZONES, [WEB])
    state.namespaces["default"] = {"team": "red"}
    wanted = info(affinity=affinity(kind, term))
    assert [one.name for one in state.nodes() if not feasible(wanted, one, state)] == fitting


def test_the_first_of_a_group_that_wants_company_may_go_where_the_label_is() -> None:
    state = cluster(ZONES)
    wanted = info(labels={"app": "web"}, affinity=affinity("podAffinity", near({"app": "web"})))
    assert [one.name for one in state.nodes() if not feasible(wanted, one, state)] == ["node-1", "node-2"]


def test_a_pod_that_is_there_keeps_others_away() -> None:
    hermit = pod("hermit", on="node-1", affinity=affinity("podAntiAffinity", near({"app": "web"})))
    reason = "node(s) didn't satisfy existing pods anti-affinity rules"
    assert why({"labels": {"app": "web"}}, ZONES, [hermit]) == reason
    assert why({"labels": {"app": "db"}}, ZONES, [hermit]) == FITS
    assert why({"labels": {"app": "web"}}, ZONES, [hermit], "node-2") == FITS


def spread(**more: Any) -> dict[str, Any]:
    constraint = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    return {"labels": {"app": "web"}, "topologySpreadConstraints": [constraint | more]}


@pytest.mark.parametrize(
    ("wanted", "fitting"),
    [
        (spread(), ["node-2"]),
        (spread(maxSkew=2), ["node-1", "node-2"]),
        (spread(labelSelector={"matchLabels": {"app": "db"}}), ["node-1", "node-2"]),
        (spread(minDomains=3), ["node-2"]),
        (spread() | {"nodeSelector": {"zone": "a"}}, ["node-1"]),
        (spread(nodeAffinityPolicy="Ignore") | {"nodeSelector": {"zone": "a"}}, []),
        (spread(whenUnsatisfiable="ScheduleAnyway"), ["node-1", "node-2", "node-3"]),
    ],
)
def test_spread_keeps_domains_level(wanted: Any, fitting: list[str]) -> None:
    state = cluster(ZONES, [WEB, pod("web-2", on="node-2", labels={"app": "web"}, namespace="other")])
    assert [one.name for one in state.nodes() if not feasible(info(**wanted), one, state)] == fitting


def test_spread_refuses_a_node_without_the_label() -> None:
    reason = "node(s) didn't match pod topology spread constraints (missing required label)"
    assert why(spread(), ZONES, name="node-3") == reason


def test_the_refusal_counts_nodes_by_reason_in_kube_schedulers_words() -> None:
    nodes = [node("node-1", taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}]), *ZONES[1:]]
    placement = place(info(requests={"cpu": "5"}), cluster(nodes))
    assert placement.message == (
        "0/3 nodes are available: 1 node(s) had untolerated taint {k: v}, 2 Insufficient cpu."
    )


def test_without_nodes_the_refusal_says_so() -> None:
    assert place(info(), cluster([])).message == "no nodes available to schedule pods"


def test_a_pod_that_cannot_be_read_is_refused_and_breaks_nothing() -> None:
    assert "cannot be read" in place(info(requests={"cpu": "much"}), cluster(ZONES)).message
