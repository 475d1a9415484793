"""Whatever pod the server accepts, no component that reads it raises anything but a FabricError."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import orjson
from hypothesis import HealthCheck, example, given, settings
from support import scheduling
from support.any_pod import any_pods, any_statuses, full_pod

from fabric.api.hostports import host_ports
from fabric.api.kinds import CONFIG_MAP, POD, SECRET
from fabric.api.objects import Object, timestamp, uid_of
from fabric.apiserver import columns, pod_warnings, preparation, without_effect
from fabric.apiserver.options import WriteOptions
from fabric.controllers.owner_graph import vertex_of
from fabric.controllers.taints import eviction_time
from fabric.errors import FabricError
from fabric.kubelet.admission import Admission
from fabric.kubelet.backoff import KeyedBackoff
from fabric.kubelet.catalogue import Image
from fabric.kubelet.containers import container_spec
from fabric.kubelet.environment import environment, references
from fabric.kubelet.fields import PodFacts
from fabric.kubelet.hostfiles import hosts, resolv_conf
from fabric.kubelet.killpod import deadline_seconds, kill_reason
from fabric.kubelet.mounts import container_mounts, set_up_volumes
from fabric.kubelet.podactions import compute_pod_actions, outcome
from fabric.kubelet.podspec import app_containers, grace_seconds, hostname, init_containers
from fabric.kubelet.podstatus import Observed, changes, pod_status
from fabric.kubelet.portmap import PortMap, portmap_state
from fabric.kubelet.records import PodView
from fabric.kubelet.volumes import volume_references
from fabric.scheduler.placement import place, scores
from fabric.scheduler.podinfo import pod_info

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_MAP = {"metadata": {"name": "all"}, "data": {"k": "v", "a.b": "$(A)"}, "binaryData": {"b": "AA=="}}
SOURCES = {
    (CONFIG_MAP, "all"): _MAP,
    (CONFIG_MAP, "a"): _MAP,
    (SECRET, "a"): {"metadata": {"name": "a"}, "data": {"k": "YQ=="}},
}
TAINTED = scheduling.node(
    "node-1",
    labels={"zone": "1"},
    taints=[{"key": "a", "effect": "NoExecute"}, {"key": "b", "value": "c", "effect": "NoSchedule"}],
)
OTHER = scheduling.pod("pod-2", on="node-1", labels={"app": "web"})


def accepted(body: Object) -> Object | None:
    """The pod as the server keeps it; None when it refuses. What comes over a wire is JSON."""
    try:
        sent = orjson.loads(orjson.dumps(body))
    except orjson.JSONEncodeError:
        return None
    try:
        decoded = preparation.decoded(POD, sent, WriteOptions())
        return preparation.new_object(POD, "default", decoded, "", NOON)
    except FabricError:
        return None


def scheduled(pod: Object) -> None:
    info = pod_info(pod)
    cluster = scheduling.cluster([TAINTED, scheduling.node("node-2")], [OTHER])
    place(info, cluster)
    scores(info, cluster, cluster.nodes())
    cluster.assume(info, "node-1")
    place(scheduling.info("pod-3", labels={"app": "web"}), cluster)
    cluster.forget(info)


def run_by_a_kubelet(pod: Object) -> None:
    view = PodView("absent", {})
    outcome(pod, view)
    compute_pod_actions(pod, view, KeyedBackoff(), NOON.timestamp())
    seen = Observed(("192.168.0.1",), ("10.0.0.2",))
    for before in ({}, {"startTime": timestamp(NOON)}, pod["status"]):
        kill_reason(pod, before, NOON.timestamp())
        deadline_seconds(pod, before, NOON.timestamp())
        after = pod_status(pod, before, view, seen, NOON)
        changes(before, after)
    grace_seconds(pod)
    hosts(pod, ["10.0.0.2"], "cluster.local", "node-1").encode()
    resolv_conf(pod, ["10.96.0.10"], "cluster.local").encode()
    hostname(pod)
    volume_references(pod)
    with tempfile.TemporaryDirectory() as root:
        _containers(pod, Path(root))


def _containers(pod: Object, root: Path) -> None:
    facts = PodFacts(pod, "node-1", ("192.168.0.1",), ("10.0.0.2",), {"cpu": "4", "memory": "8Gi"})
    volumes: dict[str, Any] = {}
    with suppress(FabricError):
        volumes = set_up_volumes(root / "volumes", facts, SOURCES)
    for container in (*init_containers(pod), *app_containers(pod)):
        references(container)
        with suppress(FabricError):
            env = environment(container, facts, SOURCES)
            mounts = container_mounts(container, volumes, root, env)
            log = root / "0.log"
            container_spec(pod, container, 0, Image("busybox", cmd=("sh",)), env, mounts, log, "node-1")


def admitted(pod: Object) -> None:
    room = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "1Gi"}
    for node in (TAINTED, scheduling.node("node-1")):
        admission = Admission(room, lambda node=node: node)
        admission.admit(pod)
        admission.admit({**OTHER, "spec": pod["spec"]})
        admission.admit_all([pod])
        admission.release(uid_of(pod))


def mapped(pod: Object) -> None:
    """Host ports become rules, for pods of one and of two families."""
    for ips in (("10.244.1.2/24",), ("10.244.1.2/24", "fd00::2/64")):
        maps = PortMap("0" * 64, host_ports(pod["spec"]), tuple(map(ip_interface, ips)))
        for obj in portmap_state("cbr0", [maps]):
            str(obj)


def warned_of(pod: Object) -> None:
    for text in (*without_effect.warnings(POD, pod), *pod_warnings.warnings(pod)):
        assert text.startswith(("spec.", "metadata."))


def updated(pod: Object) -> None:
    """An update is judged beside what it would change, and itself changes nothing."""
    same = preparation.changed_object(POD, pod, orjson.loads(orjson.dumps(pod)), "", WriteOptions())
    assert same is pod
    for spec in ({**pod["spec"], "activeDeadlineSeconds": 5}, {**pod["spec"], "tolerations": []}):
        with suppress(FabricError):
            preparation.changed_object(POD, pod, {**pod, "spec": spec}, "", WriteOptions())


def controlled(pod: Object) -> None:
    vertex_of(POD, pod)
    eviction_time(pod, TAINTED, NOON)


def printed(pod: Object) -> None:
    for column in columns.COLUMNS["", "pods"]:
        column.of(pod, NOON)


COMPONENTS: tuple[Callable[[Object], None], ...] = (
    scheduled,
    admitted,
    run_by_a_kubelet,
    mapped,
    controlled,
    printed,
    warned_of,
    updated,
)


def test_the_good_pod_is_accepted():
    assert accepted(full_pod()) is not None


def _with(**spec: Any) -> Object:
    pod = full_pod()
    pod["spec"].update(spec)
    return pod


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(any_pods())
@example(_with(dnsConfig={"options": [{"value": "1"}]}))
@example(_with(overhead={"cpu": "1e999"}, resources={"limits": {"memory": "1e999"}}))
@example(_with(hostAliases=[{"ip": "10.0.0.1"}], terminationGracePeriodSeconds=2**63 - 1))
def test_no_component_stumbles_over_an_accepted_pod(body):
    pod = accepted(body)
    if pod is not None:
        for component in COMPONENTS:
            with suppress(FabricError):
                component(pod)


BOUND = _with(nodeName="node-1")


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(any_statuses())
@example({"startTime": "9999-12-31T23:59:59Z", "conditions": []})
def test_no_component_stumbles_over_an_accepted_status(status):
    pod = accepted(BOUND)
    try:
        sent = orjson.loads(orjson.dumps({**pod, "status": status}))
        told = preparation.changed_object(POD, pod, sent, "status", WriteOptions())
    except (FabricError, orjson.JSONEncodeError):
        return
    for component in COMPONENTS:
        with suppress(FabricError):
            component(told)
