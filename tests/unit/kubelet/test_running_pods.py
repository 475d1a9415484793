"""Pods on one node, from binding to Running, and what becomes of their containers."""

from __future__ import annotations

import pytest
from support.one_node import OneNode, after, container

from fabric.api.kinds import EVENT
from fabric.api.objects import condition_is
from fabric.runtime.fake_program import Program


@pytest.fixture
def node(tmp_path):
    return OneNode(tmp_path)


async def test_a_bound_pod_is_running_with_an_address_after_one_status_write(node):
    async with node.kubelet():
        node.create()
        await after(0.5)
        status = node.status()
        assert status["phase"] == "Running"
        assert status["podIP"] == "10.244.1.2"
        assert status["podIPs"] == [{"ip": "10.244.1.2"}]
        assert status["hostIP"] == "192.168.0.11"
        assert condition_is(node.pod(), "Ready")
        assert node.status_writes() == 1


async def test_the_status_has_what_kubectl_shows(node):
    async with node.kubelet():
        node.create()
        await after(0.5)
        entry = node.status()["containerStatuses"][0]
        assert entry["name"] == "main"
        assert entry["state"]["running"]["startedAt"]
        assert (entry["ready"], entry["started"], entry["restartCount"]) == (True, True, 0)
        assert entry["containerID"] == f"fabric://{node.runtime.started[0].id}"
        assert entry["imageID"] == "fabric://images/nginx"
        conditions = {each["type"]: each["status"] for each in node.status()["conditions"]}
        assert conditions == dict.fromkeys(
            ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
        )


async def test_containers_start_only_after_the_network_is_up(node):
    node.agent.ready = False
    async with node.kubelet():
        node.create()
        await after(5)
        assert node.runtime.started == []
        assert node.state() == {"waiting": {"reason": "ContainerCreating"}}
        message = "Failed to create pod sandbox: the fake network is not ready"
        assert ("FailedCreatePodSandBox", message) in node.events()
        node.agent.ready = True
        await after(15)
        assert node.status()["phase"] == "Running"


async def test_containers_start_only_after_the_plugin_has_programmed_the_endpoint(node):
    async with node.kubelet():
        node.create()
        node.agent.programs.clear()
        await after(1)
        assert node.uid() in node.agent.attachments, "the pod has its address"
        assert node.runtime.started == []
        node.agent.programs.set()
        await after(0.2)
        assert len(node.runtime.started) == 1, "the kubelet waits for the word itself"
        assert "FailedCreatePodSandBox" not in {reason for reason, _ in node.events()}


async def test_a_pod_whose_endpoint_is_not_programmed_for_long_is_told_of_and_tried_again(node):
    async with node.kubelet():
        node.create()
        node.agent.programs.clear()
        await after(6)
        assert node.runtime.started == []
        message = (
            "Failed to create pod sandbox: the network plugin has not programmed the pod's endpoint "
            "within 5 s: fake network"
        )
        assert ("FailedCreatePodSandBox", message) in node.events()
        node.agent.programs.set()
        await after(15)
        assert node.status()["phase"] == "Running"


async def test_init_containers_run_one_after_the_other_before_the_others(tmp_path):
    node = OneNode(tmp_path, {"one": Program(seconds=2), "two": Program(seconds=3)})
    async with node.kubelet():
        node.create(
            initContainers=[container("init-1", command=["one"]), container("init-2", command=["two"])]
        )
        await after(1)
        assert node.state() == {"waiting": {"reason": "PodInitializing"}}
        assert node.status()["phase"] == "Pending"
        await after(5)
        assert [spec.name for spec in node.runtime.started] == ["init-1", "init-2", "main"]
        assert node.status()["phase"] == "Running"
        assert condition_is(node.pod(), "Initialized")


async def test_a_sidecar_starts_before_the_others_and_does_not_hold_them_up(node):
    async with node.kubelet():
        node.create(initContainers=[container("sidecar", restartPolicy="Always")])
        await after(1)
        assert [spec.name for spec in node.runtime.started] == ["sidecar", "main"]
        assert node.status()["phase"] == "Running"


async def test_a_failing_init_container_under_never_fails_the_pod(tmp_path):
    node = OneNode(tmp_path, {"init": Program(seconds=1, exit_code=3)})
    async with node.kubelet():
        node.create(restartPolicy="Never", initContainers=[container("init", command=["init"])])
        await after(2)
        assert node.status()["phase"] == "Failed"
        assert [spec.name for spec in node.runtime.started] == ["init"]


@pytest.mark.parametrize(("code", "phase", "reason"), [(0, "Succeeded", "Completed"), (3, "Failed", "Error")])
async def test_a_pod_that_is_not_restarted_ends_with_its_containers(tmp_path, code, phase, reason):
    node = OneNode(tmp_path, {"job": Program(seconds=5, exit_code=code)})
    async with node.kubelet():
        node.create(restartPolicy="Never", container={"command": ["job"]})
        await after(10)
        assert node.status()["phase"] == phase
        assert node.state()["terminated"]["exitCode"] == code
        assert node.state()["terminated"]["reason"] == reason
        assert await node.runtime.sandboxes() == ()
        assert node.agent.attachments == {}
        assert node.status_writes() == 2


async def test_on_failure_runs_again_until_it_succeeds(tmp_path):
    codes = iter([1, 1, 0])
    node = OneNode(tmp_path, {"job": lambda argv: Program(seconds=1, exit_code=next(codes))})
    async with node.kubelet():
        node.create(restartPolicy="OnFailure", container={"command": ["job"]})
        await after(60)
        assert node.status()["phase"] == "Succeeded"
        assert node.status()["containerStatuses"][0]["restartCount"] == 2


async def test_a_crashing_container_is_started_after_a_doubling_delay(tmp_path):
    node = OneNode(tmp_path, {"crash": Program(seconds=1, exit_code=1)})
    async with node.kubelet():
        node.create(container={"command": ["crash"]})
        await after(400)
        starts = [status.started_at for status in await node.runtime.containers()]
        last = max(starts)
        assert node.status()["containerStatuses"][0]["restartCount"] == 6
        # ends at 1 and 2 s; then 10, 20, 40, 80 and 160 s after each end
        assert round(last - 1.8e9) == 1 + 1 + (10 + 1) + (20 + 1) + (40 + 1) + (80 + 1) + 160
        entry = node.status()["containerStatuses"][0]
        assert entry["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        assert entry["state"]["waiting"]["message"].startswith(
            "back-off 5m0s restarting failed container=main"
        )
        assert entry["lastState"]["terminated"]["exitCode"] == 1
        assert len(await node.runtime.containers()) == 2
        assert any(reason == "BackOff" for reason, _ in node.events())


async def test_ten_minutes_of_running_forget_the_crashes(tmp_path):
    runs = iter([1, 1, 1, 700, 1, 10_000])
    node = OneNode(tmp_path, {"crash": lambda argv: Program(seconds=next(runs), exit_code=1)})
    async with node.kubelet():
        node.create(container={"command": ["crash"]})
        await after(1 + 1 + 11 + 20 + 700 + 5)
        assert node.status()["containerStatuses"][0]["restartCount"] == 4
        await after(20)
        assert node.status()["containerStatuses"][0]["restartCount"] == 5


async def test_a_program_that_cannot_be_started_says_so(tmp_path):
    node = OneNode(
        tmp_path, {"nope": Program(start_error='exec: "nope": executable file not found in $PATH')}
    )
    async with node.kubelet():
        node.create(container={"command": ["nope"]})
        await after(1)
        assert node.state()["waiting"]["reason"] == "CrashLoopBackOff"
        assert node.status()["containerStatuses"][0]["lastState"]["terminated"]["reason"] == "StartError"
        assert any(reason == "Failed" and "nope" in message for reason, message in node.events())


async def test_an_unknown_image_is_asked_for_again_until_it_is_there(node):
    async with node.kubelet():
        node.create(container={"image": "unheard-of:1"})
        await after(0.5)
        why = node.state()["waiting"]
        assert why["reason"] == "ErrImagePull"
        assert why["message"] == "image 'unheard-of:1' is not in the catalogue; see: fabric images"
        await after(2)
        assert node.state()["waiting"]["reason"] == "ImagePullBackOff"
        assert node.status()["phase"] == "Pending"
        node.images.images["unheard-of"] = node.images.images["nginx"]
        await after(10)
        assert node.status()["phase"] == "Running"
        assert {reason for reason, _ in node.events()} >= {"Failed", "BackOff", "Started"}


async def test_a_deadline_ends_the_pod(node):
    async with node.kubelet():
        node.create(activeDeadlineSeconds=20)
        await after(30)
        assert node.status()["phase"] == "Failed"
        assert node.status()["reason"] == "DeadlineExceeded"
        assert await node.runtime.sandboxes() == ()


async def test_a_host_network_pod_has_the_nodes_address_and_no_attachment(node):
    async with node.kubelet():
        node.create(hostNetwork=True)
        await after(0.5)
        assert node.status()["podIP"] == "192.168.0.11"
        assert node.agent.attachments == {}
        assert node.runtime.sandbox_spec(node.uid()).host_network


async def test_a_pod_whose_pause_process_dies_gets_a_new_sandbox(node):
    async with node.kubelet():
        node.create()
        await after(0.5)
        node.runtime.kill_sandbox(node.uid())
        await after(1)
        assert node.status()["phase"] == "Running"
        entry = node.status()["containerStatuses"][0]
        assert entry["restartCount"] == 1
        assert entry["lastState"]["terminated"]["exitCode"] == 137
        assert node.status()["podIP"] == "10.244.1.2"


async def test_a_settled_pod_costs_no_write_and_no_start(node):
    async with node.kubelet():
        node.create()
        await after(1)
        writes, starts = node.status_writes(), len(node.runtime.started)
        await after(600)
        assert (node.status_writes(), len(node.runtime.started)) == (writes, starts)


async def test_a_containers_events_name_its_place_in_the_pod(node):
    async with node.kubelet():
        node.create(initContainers=[container("first", command=["sleep", "1"])])
        await after(1)
        node.runtime.end_container(node.runtime.started[0].id, 0)
        await after(2)
        places = {
            obj["involvedObject"].get("fieldPath", "")
            for (kind, _), obj in node.api.objects.items()
            if kind is EVENT and obj["reason"] == "Started"
        }
        assert places == {"spec.initContainers{first}", "spec.containers{main}"}
