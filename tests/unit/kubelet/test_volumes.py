"""Volumes: what is in them, what changes in them, and that they lead nowhere else."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from support.nesting import nest
from support.one_node import OneNode, after

from fabric.api.kinds import CONFIG_MAP, SECRET
from fabric.runtime.contract import Mount

MOUNT = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}


@pytest.fixture
def node(tmp_path):
    node = OneNode(tmp_path)
    put(node, CONFIG_MAP, "settings", {"colour": "blue", "size": "7"})
    put(node, SECRET, "password", {"key": base64.b64encode(b"s3cret").decode()})
    return node


def put(node, kind, name, data):
    node.api.put(kind, {"metadata": {"name": name, "namespace": "default"}, "data": data})


def mounted(node, target="/data"):
    return next(mount for mount in node.runtime.started[-1].mounts if mount.target == target)


def volume(**source):
    return {"volumes": [{"name": "data", **source}], "container": MOUNT}


async def test_a_config_map_is_a_directory_of_its_keys(node):
    async with node.kubelet():
        node.create(**volume(configMap={"name": "settings", "defaultMode": 0o440}))
        await after(1)
        directory = mounted(node).source
        assert (directory / "colour").read_text() == "blue"
        assert (directory / "colour").stat().st_mode & 0o777 == 0o440
        assert (directory / "..data").is_symlink()
        assert mounted(node).read_only


async def test_a_changed_map_shows_all_at_once_and_a_removed_key_goes(node):
    async with node.kubelet():
        node.create(**volume(configMap={"name": "settings"}))
        await after(1)
        directory = mounted(node).source
        before = (directory / "..data").resolve()
        put(node, CONFIG_MAP, "settings", {"colour": "red"})
        await after(100)
        assert (directory / "colour").read_text() == "red"
        assert sorted(path.name for path in directory.iterdir() if not path.name.startswith("..")) == [
            "colour"
        ]
        assert not before.exists()


async def test_items_choose_keys_paths_and_modes(node):
    items = [{"key": "colour", "path": "deep/paint", "mode": 0o400}]
    async with node.kubelet():
        node.create(**volume(configMap={"name": "settings", "items": items}))
        await after(1)
        path = mounted(node).source / "deep/paint"
        assert path.read_text() == "blue"
        assert path.stat().st_mode & 0o777 == 0o400


async def test_a_projection_holds_maps_secrets_and_fields(node):
    sources = [
        {"configMap": {"name": "settings", "items": [{"key": "size", "path": "size"}]}},
        {"secret": {"name": "password"}},
        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"serviceAccountToken": {"path": "token"}},
    ]
    async with node.kubelet():
        node.create(**volume(projected={"sources": sources}))
        await after(1)
        directory = mounted(node).source
        texts = {
            path.name: path.read_text() for path in directory.iterdir() if not path.name.startswith("..")
        }
        assert texts == {"size": "7", "key": "s3cret", "name": "pod-1"}


async def test_a_pod_waits_for_a_map_that_it_mounts(node):
    async with node.kubelet():
        node.create(**volume(configMap={"name": "late"}))
        await after(1)
        assert node.state() == {"waiting": {"reason": "ContainerCreating"}}
        assert (
            "FailedMount",
            'MountVolume.SetUp failed for volume "data" : configmap "late" not found',
        ) in node.events()
        put(node, CONFIG_MAP, "late", {"k": "v"})
        await after(10)
        assert node.status()["phase"] == "Running"


async def test_an_empty_directory_lives_as_long_as_the_pod(node):
    async with node.kubelet():
        node.create(**volume(emptyDir={"medium": "Memory"}))
        await after(1)
        directory = mounted(node).source
        (directory / "kept").write_text("x")
        node.runtime.end_container(node.container_id(), 1)
        await after(1)
        assert (mounted(node).source / "kept").read_text() == "x"
        node.delete()
        await after(2)
        assert not directory.exists()


async def test_what_a_container_nested_beyond_all_paths_goes_with_its_pod(node):
    async with node.kubelet():
        node.create(**volume(emptyDir={}))
        await after(1)
        directory = mounted(node).source
        nest(directory / "deep", "d", 5_000)
        node.delete()
        await after(2)
        assert not directory.exists()
        assert not node.exists()


async def test_a_sub_path_and_an_item_may_have_as_many_folders_as_a_path_holds(node):
    deep = "d/" * 1_500 + "e"
    items = [{"key": "size", "path": deep}]
    mounts = [{"name": "data", "mountPath": "/a", "subPath": deep}, {"name": "map", "mountPath": "/b"}]
    async with node.kubelet():
        node.create(
            volumes=[
                {"name": "data", "emptyDir": {}},
                {"name": "map", "configMap": {"name": "settings", "items": items}},
            ],
            container={"volumeMounts": mounts},
        )
        await after(1)
        assert mounted(node, "/a").source.is_dir()
        await after(100)
        assert (mounted(node, "/b").source / deep).read_text() == "7"
        node.delete()  # pytest removes no folders as deep as these
        await after(2)
        assert not node.exists()


async def test_files_that_the_disk_refuses_leave_nothing_there(node):
    items = [{"key": "size", "path": "x"}, {"key": "colour", "path": "x/y"}]
    async with node.kubelet():
        node.create(**volume(configMap={"name": "settings", "items": items}))
        await after(300)
        directory = node.config.pods_directory / node.uid() / "volumes" / "data"
        assert list(directory.iterdir()) == []
        told = {message for reason, message in node.events() if reason == "FailedMount"}
        assert len(told) == 1


async def test_a_host_path_is_a_path_of_the_node(node):
    mount = [{"name": "data", "mountPath": "/data", "subPath": "site", "readOnly": True}]
    async with node.kubelet():
        hosts = [{"name": "data", "hostPath": {"path": "/srv", "type": "Directory"}}]
        node.create(volumes=hosts, container={"volumeMounts": mount})
        await after(1)
        assert node.runtime.host_paths == [("node-1", "/srv", "Directory")]
        wanted = Mount("/data", Path("/srv"), read_only=True, of_node=True, sub_path="site")
        assert mounted(node) == wanted


async def test_a_host_path_that_its_node_refuses_fails_the_mount(node):
    why = "hostPath type check failed: /srv is not a directory"
    node.runtime.refused_host_paths["node-1", "/srv"] = why
    async with node.kubelet():
        node.create(**volume(hostPath={"path": "/srv", "type": "Directory"}))
        await after(1)
        why = (
            'MountVolume.SetUp failed for volume "data" : hostPath type check failed: /srv is not a directory'
        )
        assert ("FailedMount", why) in node.events()
        assert node.runtime.started == []
        node.runtime.refused_host_paths.clear()
        await after(12)
        assert node.status()["phase"] == "Running"


async def test_a_sub_path_cannot_leave_its_volume(node):
    mount = [{"name": "data", "mountPath": "/data", "subPath": "../../escape"}]
    async with node.kubelet():
        node.create(volumes=[{"name": "data", "emptyDir": {}}], container={"volumeMounts": mount})
        await after(1)
        assert node.state()["waiting"]["reason"] == "CreateContainerConfigError"
        assert "leads out of" in node.state()["waiting"]["message"]


async def test_an_unsupported_volume_says_what_is_allowed(node):
    async with node.kubelet():
        node.create(**volume(nfs={"server": "s", "path": "/"}))
        await after(1)
        assert any("volume type nfs is not supported; allowed: emptyDir" in text for _, text in node.events())
