"""What a user types: kubectl of three versions against the server, over TLS."""

from __future__ import annotations

import asyncio

CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue}
"""

POD = """
apiVersion: v1
kind: Pod
metadata:
  name: pod-1
  labels: {app: web}
spec:
  containers:
  - name: web
    image: nginx
"""


NODE = """
apiVersion: v1
kind: Node
metadata: {name: node-1}
"""


async def test_the_namespaces_of_a_new_cluster_are_there(kubectl):
    out = await kubectl("get", "namespaces")
    assert out.splitlines()[0].split() == ["NAME", "STATUS", "AGE"]
    assert ["default", "Active"] in [line.split()[:2] for line in out.splitlines()]


async def test_apply_creates_then_leaves_alone_then_changes(kubectl):
    assert await kubectl("apply", "-f", "-", stdin=CONFIG_MAP) == "configmap/settings created\n"
    assert await kubectl("apply", "-f", "-", stdin=CONFIG_MAP) == "configmap/settings unchanged\n"
    changed = CONFIG_MAP.replace("blue", "green")
    assert await kubectl("apply", "-f", "-", stdin=changed) == "configmap/settings configured\n"
    assert (await kubectl.json("get", "cm", "settings"))["data"] == {"color": "green"}


async def test_apply_takes_away_what_the_file_no_longer_says(kubectl):
    await kubectl("apply", "-f", "-", stdin=CONFIG_MAP.replace("blue}", "blue, size: big}"))
    await kubectl("apply", "-f", "-", stdin=CONFIG_MAP)
    assert (await kubectl.json("get", "cm", "settings"))["data"] == {"color": "blue"}


async def test_create_twice_says_already_exists(kubectl):
    await kubectl("create", "-f", "-", stdin=CONFIG_MAP)
    answer = await kubectl.attempt("create", "-f", "-", stdin=CONFIG_MAP)
    assert answer.code == 1
    assert answer.err.strip() == (
        'Error from server (AlreadyExists): error when creating "STDIN": configmaps "settings" already exists'
    )


async def test_get_of_what_is_not_there_says_not_found(kubectl):
    answer = await kubectl.attempt("get", "pod", "nobody")
    assert answer.err == 'Error from server (NotFound): pods "nobody" not found\n'


async def test_imperative_creates_work(kubectl):
    assert await kubectl("create", "namespace", "team") == "namespace/team created\n"
    out = await kubectl("-n", "team", "create", "configmap", "made", "--from-literal=a=b")
    assert out == "configmap/made created\n"
    out = await kubectl("-n", "team", "create", "secret", "generic", "hidden", "--from-literal=a=b")
    assert out == "secret/hidden created\n"
    assert await kubectl("-n", "team", "create", "sa", "robot") == "serviceaccount/robot created\n"
    assert await kubectl("run", "shell", "--image=busybox") == "pod/shell created\n"


async def test_a_field_that_does_not_exist_is_named(kubectl):
    answer = await kubectl.attempt("apply", "-f", "-", stdin=POD.replace("image:", "imgae:"))
    assert answer.code == 1
    by_client = 'unknown field "imgae" in io.k8s.api.core.v1.Container'
    by_server = 'strict decoding error: unknown field "spec.containers[0].imgae"'
    assert (by_client if kubectl.version == "1.20" else by_server) in answer.err


async def test_fields_without_effect_are_printed_as_warnings(kubectl):
    probed = POD + "    livenessProbe: {tcpSocket: {port: 80}}\n    tty: true\n"
    answer = await kubectl.attempt("apply", "-f", "-", stdin=probed)
    assert answer.code == 0
    told = [line for line in answer.err.splitlines() if line.startswith("Warning: ")]
    assert [line.split(": ")[1] for line in told] == [
        "spec.containers[0].livenessProbe",
        "spec.containers[0].tty",
    ]
    many = POD + "".join(f"  - {{name: c{i}, image: nginx, stdin: true}}\n" for i in range(200))
    answer = await kubectl.attempt("apply", "-f", "-", stdin=many.replace("pod-1", "pod-2"))
    assert answer.code == 0 and 20 < answer.err.count("Warning: ") < 60


async def test_the_server_names_the_field_that_is_wrong(kubectl):
    answer = await kubectl.attempt(
        "apply", "--validate=false", "-f", "-", stdin=POD.replace("pod-1", "Pod_1")
    )
    assert answer.code == 1
    assert 'The Pod "Pod_1" is invalid: metadata.name: Invalid value: "Pod_1"' in answer.err


async def test_labels_and_annotations_come_and_go(kubectl):
    await kubectl("apply", "-f", "-", stdin=POD)
    await kubectl("label", "pod", "pod-1", "tier=front")
    await kubectl("annotate", "pod", "pod-1", "note=hello")
    meta = (await kubectl.json("get", "pod", "pod-1"))["metadata"]
    assert meta["labels"] == {"app": "web", "tier": "front"}
    assert meta["annotations"]["note"] == "hello"
    await kubectl("label", "pod", "pod-1", "tier-")
    assert (await kubectl.json("get", "pod", "pod-1"))["metadata"]["labels"] == {"app": "web"}


async def test_selectors_choose(kubectl):
    await kubectl("apply", "-f", "-", stdin=POD)
    await kubectl("apply", "-f", "-", stdin=POD.replace("pod-1", "pod-2").replace("web}", "db}"))
    assert await kubectl("get", "pods", "-l", "app in (db)", "-o", "name") == "pod/pod-2\n"
    out = await kubectl("get", "pods", "--field-selector", "metadata.name=pod-1", "-o", "name")
    assert out == "pod/pod-1\n"


async def test_the_three_patch_types_change_an_object(kubectl):
    await kubectl("apply", "-f", "-", stdin=POD)
    await kubectl("patch", "pod", "pod-1", "--type=merge", "-p", '{"metadata":{"labels":{"a":"1"}}}')
    await kubectl(
        "patch", "pod", "pod-1", "--type=json", "-p", '[{"op":"add","path":"/metadata/labels/b","value":"2"}]'
    )
    image = '{"spec":{"containers":[{"name":"web","image":"nginx:2"}]}}'
    await kubectl("patch", "pod", "pod-1", "--type=strategic", "-p", image)
    pod = await kubectl.json("get", "pod", "pod-1")
    assert pod["metadata"]["labels"] == {"app": "web", "a": "1", "b": "2"}
    assert [c["image"] for c in pod["spec"]["containers"]] == ["nginx:2"]


async def test_edit_sends_what_the_editor_changed(kubectl, tmp_path):
    await kubectl("apply", "-f", "-", stdin=CONFIG_MAP)
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/color: blue/color: red/' \"$1\"\n")
    editor.chmod(0o755)
    kubectl.environment["KUBE_EDITOR"] = str(editor)
    assert await kubectl("edit", "cm", "settings") == "configmap/settings edited\n"
    assert (await kubectl.json("get", "cm", "settings"))["data"] == {"color": "red"}


async def test_replace_of_an_old_version_is_a_conflict(kubectl):
    await kubectl("apply", "-f", "-", stdin=CONFIG_MAP)
    old = await kubectl("get", "cm", "settings", "-o", "yaml")
    await kubectl("label", "cm", "settings", "a=b")
    answer = await kubectl.attempt("replace", "-f", "-", stdin=old)
    assert "Conflict" in answer.err and "the object has been modified" in answer.err


async def test_describe_shows_a_pod_and_a_node(kubectl):
    await kubectl("apply", "-f", "-", stdin=POD)
    assert "Image:        nginx" in await kubectl("describe", "pod", "pod-1")
    await kubectl("apply", "-f", "-", stdin=NODE)
    assert "node-1" in await kubectl("describe", "node", "node-1")


async def test_dry_run_on_the_server_writes_nothing(kubectl):
    out = await kubectl("apply", "--dry-run=server", "-f", "-", stdin=CONFIG_MAP)
    assert out == "configmap/settings created (server dry run)\n"
    assert (await kubectl.attempt("get", "cm", "settings")).code == 1


async def test_delete_waits_until_the_object_is_gone(kubectl):
    await kubectl("apply", "-f", "-", stdin=CONFIG_MAP)
    assert (await kubectl("delete", "cm", "settings")).startswith('configmap "settings" deleted')
    assert (await kubectl.attempt("get", "cm", "settings")).code == 1


async def test_delete_of_all_asks_for_each(kubectl):
    for name in ("one", "two"):
        await kubectl("create", "configmap", name)
    await kubectl("delete", "cm", "--all")
    assert await kubectl("get", "cm", "-o", "name") == ""


async def test_a_deleted_namespace_is_terminating(kubectl):
    await kubectl("create", "namespace", "team")
    await kubectl("delete", "namespace", "team", "--wait=false")
    assert (await kubectl("get", "ns", "team", "--no-headers")).split()[:2] == ["team", "Terminating"]


async def test_get_watch_prints_what_happens(kubectl):
    await kubectl("apply", "-f", "-", stdin=CONFIG_MAP)
    async with kubectl.running("get", "cm", "settings", "-w", "--no-headers") as watching:
        first = await asyncio.wait_for(watching.stdout.readline(), 60)
        assert first.split()[:2] == [b"settings", b"1"]
        await kubectl("patch", "cm", "settings", "--type=merge", "-p", '{"data":{"more":"x"}}')
        second = await asyncio.wait_for(watching.stdout.readline(), 60)
        assert second.split()[:2] == [b"settings", b"2"]


async def test_wide_pods_have_all_columns(kubectl):
    await kubectl("apply", "-f", "-", stdin=POD)
    header, line = (await kubectl("get", "pods", "-o", "wide")).splitlines()
    columns = "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED-NODE READINESS-GATES"
    expected = columns.replace("-", " ").split()
    assert header.split() == expected
    words = line.split()
    assert words[:4] == ["pod-1", "0/1", "Pending", "0"]
    assert words[5:] == ["<none>"] * 4


async def test_explain_reads_the_schema(kubectl):
    out = await kubectl("explain", "pod.spec")
    if kubectl.version == "1.20":
        assert "RESOURCE: spec <Object>" in out
        assert "containers\t<[]Object> -required-" in out
    else:
        assert "FIELD: spec <PodSpec>" in out
        assert "containers\t<[]Container> -required-" in out


async def test_api_resources_lists_the_table_of_kinds(kubectl):
    lines = (await kubectl("api-resources")).splitlines()[1:]
    assert {line.split()[0] for line in lines} >= {"pods", "nodes", "namespaces", "configmaps", "leases"}
    pods = next(line.split() for line in lines if line.startswith("pods "))
    assert pods == ["pods", "po", "v1", "true", "Pod"]


async def test_get_all_shows_the_category(kubectl):
    await kubectl("apply", "-f", "-", stdin=POD)
    assert await kubectl("get", "all", "-o", "name") == "pod/pod-1\n"


async def test_what_is_not_served_says_what_there_is_instead(kubectl):
    await kubectl("apply", "-f", "-", stdin=POD)
    assert "fabric logs POD" in (await kubectl.attempt("logs", "pod-1", "-c", "web")).err
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"
    answer = await kubectl.attempt("apply", "-f", "-", stdin=service)
    assert answer.code == 1, answer
