"""The words for pods in every state they can be in."""

from datetime import UTC, datetime

import pytest

from fabric.apiserver import pod_printer

NOW = datetime(2026, 1, 1, 1, 0, tzinfo=UTC)
RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


def waiting(reason):
    return {"waiting": {"reason": reason}}


def ended(code=0, **fields):
    return {"terminated": {"exitCode": code, **fields}}


def container(state, *, ready=False, **fields):
    return {"name": "web", "state": state, "ready": ready, **fields}


def pod(*containers, phase="Running", init=(), spec=None, meta=None, **status):
    names = [{"name": c["name"]} for c in containers]
    inits = [{"name": c["name"]} for c in init]
    return {
        "metadata": {"name": "pod-1", **(meta or {})},
        "spec": {"containers": names, "initContainers": inits, **(spec or {})},
        "status": {
            "phase": phase,
            "containerStatuses": list(containers),
            "initContainerStatuses": list(init),
            **status,
        },
    }


UP = container(RUNNING, ready=True)
GATED = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
READY = {"type": "Ready", "status": "True"}
DELETED = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (pod(phase="Pending"), "Pending"),
        (pod(UP), "Running"),
        (pod(phase="Pending", conditions=[GATED]), "SchedulingGated"),
        (pod(container(waiting("ContainerCreating")), phase="Pending"), "ContainerCreating"),
        (pod(container(waiting("ImagePullBackOff")), phase="Pending"), "ImagePullBackOff"),
        (pod(container(waiting("CrashLoopBackOff"))), "CrashLoopBackOff"),
        (pod(container(ended(reason="Completed")), phase="Succeeded"), "Completed"),
        (pod(container(ended(1, reason="Error")), phase="Failed"), "Error"),
        (pod(container(ended(3)), phase="Failed"), "ExitCode:3"),
        (pod(container(ended(137, signal=9)), phase="Failed"), "Signal:9"),
        (pod(UP, container(ended(reason="Completed")), conditions=[READY]), "Running"),
        (pod(UP, container(ended(reason="Completed"))), "NotReady"),
        (pod(phase="Failed", reason="Evicted"), "Evicted"),
        (pod(UP, meta=DELETED), "Terminating"),
        (pod(UP, meta=DELETED, reason="NodeLost"), "Unknown"),
        (pod(container(ended(reason="Completed")), phase="Succeeded", meta=DELETED), "Completed"),
        (pod(init=[container(RUNNING)], phase="Pending"), "Init:0/1"),
        (pod(init=[container(waiting("PodInitializing"))], phase="Pending"), "Init:0/1"),
        (pod(init=[container(ended()), container(RUNNING)], phase="Pending"), "Init:1/2"),
        (pod(init=[container(waiting("ErrImagePull"))], phase="Pending"), "Init:ErrImagePull"),
        (pod(init=[container(ended(1, reason="Error"))], phase="Pending"), "Init:Error"),
        (pod(init=[container(ended(2))], phase="Pending"), "Init:ExitCode:2"),
        (pod(UP, init=[container(ended())]), "Running"),
    ],
)
def test_a_pod_has_one_word(obj, words):
    assert pod_printer.status(obj, NOW) == words


def test_ready_counts_containers_that_run_and_are_ready():
    assert pod_printer.ready(pod(UP, UP), NOW) == "2/2"
    assert pod_printer.ready(pod(UP, container(RUNNING)), NOW) == "1/2"
    assert pod_printer.ready(pod(container(ended(), ready=True)), NOW) == "0/1"


def test_a_sidecar_counts_for_readiness_and_does_not_hold_the_pod_up():
    sidecar = {"name": "mesh", "state": RUNNING, "ready": True, "started": True}
    spec = {"initContainers": [{"name": "mesh", "restartPolicy": "Always"}]}
    obj = pod(UP, init=[sidecar], spec=spec)
    assert pod_printer.status(obj, NOW) == "Running"
    assert pod_printer.ready(obj, NOW) == "2/2"


def test_restarts_say_when_the_last_one_was():
    last = {"lastState": ended(1, finishedAt="2026-01-01T00:55:00Z")}
    assert pod_printer.restarts(pod(UP), NOW) == "0"
    assert pod_printer.restarts(pod(container(RUNNING, restartCount=2)), NOW) == "2"
    assert pod_printer.restarts(pod(container(RUNNING, restartCount=2, **last)), NOW) == "2 (5m ago)"


def test_addresses_and_gates():
    assert pod_printer.ip(pod(), NOW) == "<none>"
    assert pod_printer.ip(pod(podIP="10.244.1.2"), NOW) == "10.244.1.2"
    assert pod_printer.ip(pod(podIPs=[{"ip": "fd00::2"}]), NOW) == "fd00::2"
    gates = {"readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]}
    conditions = [{"type": "a", "status": "True"}]
    assert pod_printer.readiness_gates(pod(), NOW) == "<none>"
    assert pod_printer.readiness_gates(pod(spec=gates, conditions=conditions), NOW) == "1/2"


def test_a_pod_without_a_status_has_words_too():
    bare = {"metadata": {"name": "pod-1"}}
    words = (
        pod_printer.ready,
        pod_printer.status,
        pod_printer.restarts,
        pod_printer.ip,
        pod_printer.readiness_gates,
    )
    assert [word(bare, NOW) for word in words] == ["0/0", "", "0", "<none>", "<none>"]
