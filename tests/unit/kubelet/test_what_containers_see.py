"""Environment, command line, files and volumes of a container, as its pod asks for them."""

from __future__ import annotations

import base64

import pytest
from support.one_node import OneNode, after, container

from fabric.api.kinds import CONFIG_MAP, SECRET
from fabric.api.objects import Object
from fabric.kubelet.catalogue import Image


@pytest.fixture
def node(tmp_path):
    node = OneNode(tmp_path)
    put(node, CONFIG_MAP, "settings", {"colour": "blue", "size": "7"})
    put(node, SECRET, "password", {"key": base64.b64encode(b"s3cret").decode()})
    return node


def put(node: OneNode, kind, name: str, data: dict[str, str]) -> Object:
    return node.api.put(kind, {"metadata": {"name": name, "namespace": "default"}, "data": data})


async def started(node: OneNode, **spec):
    """Run one pod, and return what the runtime was told to start."""
    async with node.kubelet():
        node.create(**spec)
        await after(1)
        return node.runtime.started[-1]


def source(path: str) -> Object:
    return {"fieldRef": {"fieldPath": path}}


async def test_variables_come_from_values_fields_maps_secrets_and_resources(node):
    env = [
        {"name": "PLAIN", "value": "x"},
        {"name": "DERIVED", "value": "$(PLAIN)-$(UNKNOWN)-$$(PLAIN)"},
        {"name": "IP", "valueFrom": source("status.podIP")},
        {"name": "NODE", "valueFrom": source("spec.nodeName")},
        {"name": "HOST", "valueFrom": source("status.hostIP")},
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "password", "key": "key"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
        {"name": "MAYBE", "valueFrom": {"secretKeyRef": {"name": "no", "key": "k", "optional": True}}},
    ]
    resources = {"limits": {"cpu": "1500m"}}
    spec = await started(node, container={"env": env, "resources": resources})
    assert {name: spec.env[name] for name in spec.env if name != "HOSTNAME"} == {
        "PLAIN": "x",
        "DERIVED": "x-$(UNKNOWN)-$(PLAIN)",
        "IP": "10.244.1.2",
        "NODE": "node-1",
        "HOST": "192.168.0.11",
        "COLOUR": "blue",
        "PASSWORD": "s3cret",
        "CPU": "1500",
    }
    assert spec.env["HOSTNAME"] == "pod-1"


async def test_whole_maps_become_variables_with_a_prefix(node):
    env_from = [{"configMapRef": {"name": "settings"}, "prefix": "APP_"}, {"secretRef": {"name": "password"}}]
    spec = await started(node, container={"envFrom": env_from})
    assert (spec.env["APP_colour"], spec.env["APP_size"], spec.env["key"]) == ("blue", "7", "s3cret")


async def test_a_missing_map_is_a_config_error_until_it_is_there(node):
    ref = {"configMapKeyRef": {"name": "late", "key": "k"}}
    async with node.kubelet():
        node.create(container={"env": [{"name": "K", "valueFrom": ref}]})
        await after(1)
        assert node.state()["waiting"] == {
            "reason": "CreateContainerConfigError",
            "message": 'configmap "late" not found',
        }
        assert ("Failed", 'Error: configmap "late" not found') in node.events()
        put(node, CONFIG_MAP, "late", {"other": "v"})
        await after(12)
        assert node.state()["waiting"]["message"] == "couldn't find key k in ConfigMap default/late"
        put(node, CONFIG_MAP, "late", {"k": "v"})
        await after(60)
        assert node.runtime.started[-1].env["K"] == "v"


@pytest.mark.parametrize(
    ("command", "args", "argv"),
    [
        (None, None, ("entry", "default")),
        (None, ["mine"], ("entry", "mine")),
        (["own"], None, ("own",)),
        (["own"], ["$(WHO)"], ("own", "me")),
    ],
)
async def test_command_and_args_stand_over_the_image(node, command, args, argv):
    node.images.images["tool"] = Image("tool", ("entry",), ("default",), {"FROM_IMAGE": "1"}, "/work")
    words = {"command": command, "args": args}
    more = {name: value for name, value in words.items() if value}
    env = [{"name": "WHO", "value": "me"}]
    spec = await started(node, containers=[container(image="tool", env=env, **more)])
    assert spec.argv == argv
    assert spec.cwd == "/work"
    assert spec.env["FROM_IMAGE"] == "1"


PORTS = [
    {"containerPort": 80},
    {"containerPort": 80, "protocol": "TCP", "name": "again"},
    {"containerPort": 443},
    {"containerPort": 53, "protocol": "UDP"},
]


@pytest.mark.parametrize(
    ("serves", "words", "argv"),
    [
        (True, {}, ("entry", "--tcp", "80,443", "--udp", "53")),
        (True, {"args": ["mine"]}, ("entry", "mine")),
        (True, {"command": ["own"]}, ("own",)),
        (False, {}, ("entry",)),
    ],
)
async def test_a_server_of_ours_is_told_each_containerport_unless_the_pod_says_what_runs(
    node, serves, words, argv
):
    node.images.images["tool"] = Image("tool", ("entry",), serves_ports=serves)
    spec = await started(node, containers=[container(image="tool", ports=PORTS, **words)])
    assert spec.argv == argv


async def test_user_group_and_read_only_root_are_passed_on(node):
    spec = await started(
        node,
        securityContext={"runAsUser": 1000, "runAsGroup": 2000},
        container={"securityContext": {"runAsUser": 1001, "readOnlyRootFilesystem": True}},
    )
    assert (spec.uid, spec.gid, spec.read_only_root) == (1001, 2000, True)


async def test_run_as_non_root_refuses_an_image_of_root(node):
    async with node.kubelet():
        node.create(securityContext={"runAsNonRoot": True})
        await after(1)
        assert node.state()["waiting"]["reason"] == "CreateContainerConfigError"


async def test_the_etc_files_name_the_pod_and_the_cluster(tmp_path):
    node = OneNode(tmp_path, cluster_dns=("10.96.0.10",))
    spec = await started(
        node, hostname="web", subdomain="sites", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b"]}]
    )
    files = {mount.target: mount.source.read_text() for mount in spec.mounts}
    assert "10.244.1.2\tweb.sites.default.svc.cluster.local\tweb\n" in files["/etc/hosts"]
    assert "1.2.3.4\ta\tb\n" in files["/etc/hosts"]
    assert files["/etc/hostname"] == "web\n"
    assert files["/etc/resolv.conf"] == (
        "search default.svc.cluster.local svc.cluster.local cluster.local\n"
        "nameserver 10.96.0.10\n"
        "options ndots:5\n"
    )


async def test_logs_go_where_cri_has_them(node):
    spec = await started(node)
    expected = node.config.root / f"var/log/pods/default_pod-1_{node.uid()}/main/0.log"
    assert spec.log_path == expected
    assert expected.parent.is_dir()
