"""What a kubelet does beside its pods: it comes back without disturbing them, and repairs their network."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.one_node import NODE_NAME, OneNode, after

from fabric.netstate.objects import Address, Bridge, LinkMac, LinkMtu, LinkUp, Route, Veth
from fabric.runtime.contract import HostSpec

RESYNC_SECONDS = 60 * 1.25 + 1
"""All namespaces are read after one minute, and a quarter more at most."""


@pytest.fixture
def node(tmp_path):
    return OneNode(tmp_path)


async def test_a_restarted_kubelet_adopts_its_pods_without_disturbing_them(node):
    async with node.kubelet():
        node.create()
        await after(1)
        before = node.status()
    writes = node.status_writes()
    async with node.kubelet():
        await after(120)
        assert len(node.runtime.started) == 1
        assert node.runtime.signals == []
        assert node.status() == before
        assert node.status_writes() == writes
        assert node.agent.collected[-1] == {node.uid()}


async def test_a_kubelet_that_died_before_the_status_write_finds_what_it_started(node):
    async with node.kubelet():
        node.create()
        await after(1)
    pod = node.pod()
    pod["status"] = {}
    async with node.kubelet():
        await after(1)
        assert len(node.runtime.started) == 1
        assert node.status()["phase"] == "Running"
        assert node.status()["podIP"] == "10.244.1.2"


async def test_a_container_that_ended_while_the_kubelet_was_away_is_restarted(node):
    async with node.kubelet():
        node.create()
        await after(1)
    node.runtime.end_container(node.container_id(), 2)
    async with node.kubelet():
        await after(1)
        entry = node.status()["containerStatuses"][0]
        assert entry["restartCount"] == 1
        assert entry["lastState"]["terminated"]["exitCode"] == 2


async def test_pods_of_a_node_that_lost_its_power_start_again(node):
    async with node.kubelet():
        node.create()
        node.create("job", restartPolicy="Never")
        await after(1)
    await node.runtime.stop_node(NODE_NAME)
    async with node.kubelet():
        await after(1)
        assert node.status()["phase"] == "Running"
        assert node.status()["containerStatuses"][0]["restartCount"] == 1
        assert node.status("job")["phase"] == "Failed"
        assert node.state("job")["terminated"]["exitCode"] == 137


async def test_a_runtime_that_is_away_makes_the_node_not_ready_and_harms_no_pod(node):
    async with node.kubelet():
        node.create()
        await after(1)
        node.runtime.down = True
        node.runtime.end_container(node.container_id(), 1)
        await after(30)
        node.runtime.restart()
        await after(30)
        assert node.status()["phase"] == "Running"
        assert node.status()["containerStatuses"][0]["restartCount"] == 1


@pytest.mark.parametrize("kind", [Veth, Address, Route, LinkUp])
async def test_what_a_stranger_deletes_of_a_pods_network_comes_back(node, kind):
    async with node.kubelet():
        node.create()
        await after(1)
        pod_host = node.kernel.host(f"pod:{node.uid()}")
        node_host = node.kernel.host(NODE_NAME)
        settled = pod_host.state, node_host.state
        host = node_host if kind is Veth else pod_host
        victim = next(obj for obj in host.state if isinstance(obj, kind) and getattr(obj, "dev", "") != "lo")
        host.tamper_delete(victim)
        assert (pod_host.state, node_host.state) != settled
        await after(1)
        assert (pod_host.state, node_host.state) == settled
        assert node.runtime.signals == []


@pytest.mark.parametrize("change", [LinkMtu("eth0", 1300), LinkMac("eth0", "02:00:00:00:00:09")])
async def test_what_a_stranger_sets_at_a_pods_end_is_put_back_and_the_pair_is_the_same(node, change):
    async with node.kubelet():
        node.create()
        await after(1)
        host = node.kernel.host(f"pod:{node.uid()}")
        settled = host.state, host.settings
        host.tamper_add(change)
        assert change in host.settings
        await after(1)
        assert (host.state, host.settings) == settled
        assert not [
            step for plan in node.kernel.host(NODE_NAME).plans for step in plan.steps if step.verb == "delete"
        ]


async def test_what_no_namespace_told_of_comes_back_when_all_are_read(node, monkeypatch):
    monkeypatch.setattr(node.kernel, "follow", lambda pod, state, changed: lambda: None)
    async with node.kubelet():
        node.create()
        await after(1)
        host = node.kernel.host(f"pod:{node.uid()}")
        settled = host.state
        host.tamper_delete(next(obj for obj in host.state if isinstance(obj, Address)))
        await after(1)
        assert host.state != settled
        await after(RESYNC_SECONDS)
        assert host.state == settled


async def test_a_settled_network_is_read_and_not_written(node):
    async with node.kubelet():
        node.create()
        await after(1)
        hosts = [node.kernel.host(NODE_NAME), node.kernel.host(f"pod:{node.uid()}")]
        plans = [len(host.plans) for host in hosts]
        await after(300)
        assert [len(host.plans) for host in hosts] == plans
        assert all(4 <= host.reads <= 9 for host in hosts)


async def test_a_lowered_device_is_raised_at_once(node):
    async with node.kubelet():
        node.create()
        await after(1)
        host = node.kernel.host(NODE_NAME)
        settled = host.state
        veth = next(obj for obj in host.state if isinstance(obj, Veth))
        host.tamper_add(replace(veth, up=False))
        assert host.state != settled
        await after(0.2)
        assert host.state == settled


async def test_a_device_that_is_put_back_at_once_is_no_reason_to_read(node):
    async with node.kubelet():
        node.create()
        await after(1)
        host = node.kernel.host(NODE_NAME)
        reads = host.reads
        veth = next(obj for obj in host.state if isinstance(obj, Veth))
        host.tamper_add(replace(veth, up=False))
        await after(0.01)
        host.tamper_add(veth)
        await after(10)
        assert host.reads == reads


async def test_a_node_that_was_switched_on_again_tells_of_its_changes(node):
    async with node.kubelet():
        node.create()
        await after(1)
        await node.runtime.stop_node(NODE_NAME)
        node.kernel.add_namespace(NODE_NAME).tamper_add(Bridge("cni0"))
        await node.runtime.start_node(HostSpec(NODE_NAME))
        await after(30)
        host = node.kernel.host(NODE_NAME)
        settled = host.state
        host.tamper_delete(next(obj for obj in host.state if isinstance(obj, Veth)))
        await after(1)
        assert host.state == settled
