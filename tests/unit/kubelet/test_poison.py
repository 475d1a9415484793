"""An accepted object that a kubelet cannot digest: its pod says so, the kubelet and the other pods go on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from support.one_node import OneNode, after

from fabric.api.kinds import CONFIG_MAP
from fabric.control import parking
from fabric.kubelet import kubelet as kubelet_module
from fabric.kubelet import podworkers
from fabric.kubelet.expansion import ALL_BYTES_MAX, STRING_BYTES_MAX, ArgumentListTooLong, expand

DATA = {"volumes": [{"name": "data", "emptyDir": {}}]}


@pytest.fixture
def node(tmp_path):
    return OneNode(tmp_path)


def config_map(node: OneNode, **data: str) -> None:
    node.api.put(CONFIG_MAP, {"metadata": {"name": "settings", "namespace": "default"}, "data": data})


async def others_run(node: OneNode) -> bool:
    node.create("pod-2")
    await after(1)
    return "running" in node.state("pod-2")


async def test_a_resolver_option_without_a_name_is_left_out(node):
    options = [{"value": "1"}, {"name": "ndots", "value": "2"}]
    async with node.kubelet():
        node.create(dnsPolicy="None", dnsConfig={"nameservers": ["10.0.0.1"], "options": options})
        await after(1)
        assert "running" in node.state()
        text = (node.config.pods_directory / node.uid() / "resolv.conf").read_text()
        assert text == "nameserver 10.0.0.1\noptions ndots:2\n"


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG, errno.EMLINK, errno.EACCES, errno.ENOTDIR]
)
async def test_what_the_disk_refuses_waits_and_comes_when_it_is_there_again(node, monkeypatch, number):
    def refuse(self, *_, **__):
        raise OSError(number, os.strerror(number), str(self))

    async with node.kubelet():
        with monkeypatch.context() as patch:
            for name in ("write_text", "write_bytes", "mkdir"):
                patch.setattr(Path, name, refuse)
            patch.setattr(os, "mkdir", refuse)
            node.create("pod-1", **DATA)
            node.create("pod-3")
            await after(1)
            told = [text for _, text in node.events() if os.strerror(number) in text]
            assert any('MountVolume.SetUp failed for volume "data"' in text for text in told)
            assert any("Failed to create pod sandbox" in text for text in told)
        await after(15)
        assert "running" in node.state("pod-1")
        assert "running" in node.state("pod-3")


@pytest.mark.parametrize("path", ["n" * 256, "a/" + "n" * 300, "é" * 130, "n/" * 2100])
async def test_a_sub_path_that_no_disk_takes_is_a_config_error(node, path):
    async with node.kubelet():
        mount = [{"name": "data", "mountPath": "/data", "subPath": path}]
        node.create(**DATA, container={"volumeMounts": mount})
        await after(1)
        waiting = node.state()["waiting"]
        assert waiting["reason"] == "CreateContainerConfigError"
        assert "File name too long" in waiting["message"]
        assert any(reason == "Failed" and "File name too long" in text for reason, text in node.events())
        assert await others_run(node)


async def test_a_file_name_that_no_disk_takes_fails_the_mount(node):
    config_map(node, key="x")
    items = [{"key": "key", "path": "n" * 256}]
    async with node.kubelet():
        node.create(volumes=[{"name": "data", "configMap": {"name": "settings", "items": items}}])
        await after(1)
        assert any(reason == "FailedMount" and "File name too long" in text for reason, text in node.events())
        assert await others_run(node)


async def test_a_map_that_becomes_odd_leaves_a_running_pods_files_as_they_are(node):
    config_map(node, key="x")
    async with node.kubelet():
        node.create(volumes=[{"name": "data", "configMap": {"name": "settings"}}])
        await after(1)
        config_map(node, **{"n" * 300: "y"})
        await after(120)
        shown = node.config.pods_directory / node.uid() / "volumes/data/key"
        assert shown.read_text() == "x"
        assert await others_run(node)


def doubling(times: int) -> list[dict[str, str]]:
    first = {"name": "V0", "value": "x" * 1024}
    return [first, *({"name": f"V{n}", "value": f"$(V{n - 1})$(V{n - 1})"} for n in range(1, times))]


async def test_references_that_double_each_other_are_refused_as_linux_refuses_them(node):
    async with node.kubelet():
        node.create(container={"env": doubling(40)})
        await after(1)
        waiting = node.state()["waiting"]
        assert waiting["reason"] == "CreateContainerError"
        assert waiting["message"].startswith("argument list too long")
        assert any(reason == "Failed" and "argument list too long" in text for reason, text in node.events())
        assert node.runtime.started == []
        assert await others_run(node)


@pytest.mark.parametrize(
    "wanted",
    [
        {"env": [{"name": f"V{n}", "value": "x" * 100_000} for n in range(21)]},
        {"command": ["sh"], "args": ["x" * 100_000] * 21},
        {"args": ["$(V6)" * 3], "env": doubling(7)},
        {"env": [{"name": "V", "value": "x" * STRING_BYTES_MAX}]},
        {"envFrom": [{"prefix": f"p{n}_", "configMapRef": {"name": "settings"}} for n in range(30)]},
    ],
)
async def test_more_than_a_program_can_be_given_is_refused(node, wanted):
    config_map(node, key="x" * 100_000)
    async with node.kubelet():
        node.create(container=wanted)
        await after(1)
        assert node.state()["waiting"]["message"].startswith("argument list too long")


def test_an_expansion_ends_at_linux_limit_to_the_byte():
    value = "x" * 1024
    assert len(expand("$(A)" * 127 + value[1:], {"A": value})) == STRING_BYTES_MAX - 1
    with pytest.raises(ArgumentListTooLong):
        expand("$(A)" * 127 + value, {"A": value})


async def test_what_fits_together_runs(node):
    env = [{"name": f"V{n}", "value": "x" * 100_000} for n in range(ALL_BYTES_MAX // 100_100)]
    async with node.kubelet():
        node.create(container={"env": env})
        await after(1)
        assert "running" in node.state()


@pytest.fixture
def parked(monkeypatch):
    """As in a worker: a bug parks its key."""
    monkeypatch.setattr(parking, "_is_on", True)


async def test_a_bug_parks_its_pod_tells_it_there_and_others_go_on(node, parked, monkeypatch):
    def stumble(pod, *_):
        if pod["metadata"]["name"] == "pod-1":
            raise KeyError("odd")
        return decide(pod, *_)

    decide = podworkers.compute_pod_actions
    monkeypatch.setattr(podworkers, "compute_pod_actions", stumble)
    async with node.kubelet():
        node.create("pod-1")
        assert await others_run(node)
        assert any(reason == "FailedSync" and "KeyError: 'odd'" in text for reason, text in node.events())
        monkeypatch.setattr(podworkers, "compute_pod_actions", decide)
        node.api.put(kubelet_module.POD, {**node.pod("pod-1"), "status": {}})
        await after(1)
        assert "running" in node.state("pod-1")


async def test_a_bug_in_the_plugins_check_leaves_the_kubelet_running(node, parked, monkeypatch):
    async def stumble(_):
        raise TypeError("odd")

    async with node.kubelet():
        node.create("pod-1")
        await after(1)
        monkeypatch.setattr(node.agent, "check", stumble)
        await after(130)
        assert await others_run(node)
