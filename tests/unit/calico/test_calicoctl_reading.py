"""get, and the ways in: what is typed, and what files hold."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.calico_ipam import pool, put_resources
from support.calicoctl import Ctl

from calico.calicoctl import printing
from calico.calicoctl.arguments import BadUsage, Option, Usage, parse
from calico.calicoctl.files import BadFile, objects, read
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.nodes import Node

HEAD = "apiVersion: projectcalico.org/v3\nkind: {}\nmetadata: {{name: {}}}\nspec: {}\n"
POOL = HEAD.format("IPPool", "pool-1", "{cidr: 10.244.0.0/24}")
PEER = HEAD.format("BGPPeer", "tor", "{peerIP: 192.0.2.1, asNumber: 65001}")


@pytest.fixture
async def ctl():
    ctl = await Ctl().began()
    await put_resources(ctl.store, pool(), pool("pool-2", "10.244.1.0/24"))
    return ctl


async def test_one_resource_is_itself_and_all_of_a_kind_are_a_list(ctl):
    one = json.loads(await ctl.does("get", "ippool", "pool-1", "-o", "json"))
    assert (one["kind"], one["metadata"]["name"]) == ("IPPool", "pool-1")
    every = json.loads(await ctl.does("get", "pools", "-ojson"))
    assert every["kind"] == "IPPoolList" and len(every["items"]) == 2
    assert every["metadata"]["resourceVersion"] == str(await ctl.store.revision())
    two = yaml.safe_load(await ctl.does("get", "ippool", "pool-1", "pool-2", "-o", "yaml"))
    assert [obj["metadata"]["name"] for obj in two] == ["pool-1", "pool-2"]


async def test_what_is_got_can_be_given_back(ctl):
    for output in ("yaml", "json"):
        text = await ctl.does("get", "ippools", "-o", output)
        assert (
            await ctl.does("apply", "-f", "-", stdin=text) == "Successfully applied 2 'IPPool' resource(s)\n"
        )


async def test_export_leaves_out_what_only_this_cluster_gives(ctl):
    await ctl.does("create", "-f", "-", stdin=PEER)
    meta = yaml.safe_load(await ctl.does("get", "bgppeer", "tor", "-o", "yaml", "--export"))["metadata"]
    assert meta == {"name": "tor"}


async def test_what_is_there_is_shown_before_what_is_not(ctl):
    answer = await ctl("get", "ippool", "pool-9", "pool-1")
    assert answer.code == 1 and answer.out.splitlines()[1].startswith("pool-1 ")
    assert answer.err == "resource does not exist: IPPool(pool-9) with error: <nil>\n"


async def test_columns_can_be_chosen(ctl):
    out = await ctl.does("get", "ippool", "pool-1", "-o", "custom-columns=CIDR,NAME")
    assert [line.split() for line in out.splitlines()] == [["CIDR", "NAME"], ["10.244.0.0/24", "pool-1"], []]
    said = await ctl.refuses("get", "ippool", "-o", "custom-columns=COLOUR")
    assert said.startswith("Unknown heading COLOUR, valid values are: ASSIGNMENTMODE, CIDR, ")
    assert (
        await ctl.refuses("get", "ippool", "-o", "custom-columns=") == "need to specify at least one column"
    )
    assert await ctl.refuses("get", "ippool", "-o", "xml") == "unrecognized output format 'xml'"


async def test_a_nodes_as_number_is_its_own_or_the_clusters_in_brackets(ctl):
    nodes = [
        {"kind": "Node", "metadata": {"name": f"node-{i}"}, "spec": {"bgp": bgp}}
        for i, bgp in (
            (1, {"ipv4Address": "192.168.0.11/24"}),
            (2, {"ipv4Address": "192.168.0.12/24", "asNumber": 65002}),
        )
    ]
    await put_resources(ctl.store, *map(Node.from_object, nodes))
    rows = [line.split()[:2] for line in (await ctl.does("get", "nodes", "-o", "wide")).splitlines()[1:3]]
    assert rows == [["node-1", "(64512)"], ["node-2", "65002"]]
    await put_resources(ctl.store, BGPConfiguration.named("default", as_number=64600))
    assert "(64600)" in await ctl.does("get", "node", "node-1", "-o", "wide")
    assert "64600" not in await ctl.does("get", "node", "node-1", "-o", "yaml")


async def test_namespaces_of_a_kind_that_has_them(ctl):
    assert (await ctl.does("get", "wep", "-A")).startswith("NAMESPACE   WORKLOAD   NODE")
    assert (await ctl.does("get", "wep")).startswith("WORKLOAD   NODE")
    assert "IPPool is not namespaced" in await ctl.refuses("get", "ippools", "-A")
    assert "cannot use both" in await ctl.refuses("get", "wep", "-A", "-n", "team")
    assert "for getting a single resource" in await ctl.refuses("get", "wep", "x", "-A")


async def test_kinds_are_named_as_calicoctl_names_them(ctl):
    for name in ("ippool", "IPPools", "ipp", "pool"):
        assert "pool-1" in await ctl.does("get", name)
    assert await ctl.refuses("get", "pods") == (
        "failed to get resources: resource type 'pods' is not supported"
    )
    assert await ctl.refuses("get") == (
        "Invalid option: 'calicoctl get' (a kind is needed, or --filename=<FILENAME>). "
        "Use flag '--help' to read about a specific subcommand."
    )


async def test_a_folder_is_gone_through(ctl, tmp_path):
    (tmp_path / "a.yaml").write_text(PEER)
    (tmp_path / "b.json").write_text(json.dumps(yaml.safe_load(PEER.replace("tor", "tor-2"))))
    (tmp_path / "notes.txt").write_text("no manifest")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "c.yml").write_text(PEER.replace("tor", "tor-3"))
    assert "applied 2 'BGPPeer'" in await ctl.does("apply", "-f", str(tmp_path))
    assert "applied 3 'BGPPeer'" in await ctl.does("apply", "-R", "-f", str(tmp_path))
    (tmp_path / "d.yaml").write_text("# nothing\n---\n")
    assert await ctl.refuses("apply", "-f", str(tmp_path)) == (
        f"No resources specified in file {tmp_path}/d.yaml"
    )
    assert "applied 2" in await ctl.does("apply", "-f", str(tmp_path), "--skip-empty")
    assert (await ctl.refuses("apply", "-f", str(tmp_path / "no"))).endswith("no: no such file or directory")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert await ctl.refuses("apply", "-f", str(empty)) == f"No resources specified in directory {empty}"
    assert await ctl.does("apply", "-f", str(empty), "--skip-empty") == "No resources specified\n"
    assert "'calicoctl apply' (a file is needed: --filename=<FILENAME>)" in await ctl.refuses("apply")


async def test_what_is_no_resource_cannot_be_begun_with(ctl):
    for text, said in (
        ("- 1", "failed to execute command: -: a resource is expected, with apiVersion, kind and metadata"),
        (POOL.replace("/v3", "/v1"), "unknown resource type (IPPool) and/or version (projectcalico.org/v1)"),
        (POOL.replace("IPPool", "Pod"), "unknown resource type (Pod) and/or version (projectcalico.org/v3)"),
        ("a: [", "failed to execute command: -: line 1: "),
        ("a: !!set {x}", "a set is no value of JSON"),
    ):
        assert said in await ctl.refuses("apply", "-f", "-", stdin=text)


def test_lists_and_several_documents_hold_objects():
    more = "kind: List\nitems:\n- {kind: A}\n- {kind: BList, items: [{kind: B}]}\n---\n- {kind: C}\n"
    found = [obj["kind"] for document in read(f"{POOL}---\n{more}", "-") for obj in objects(document, "-")]
    assert found == ["IPPool", "A", "B", "C"]


def test_scalars_are_read_as_go_reads_them():
    (found,) = read("{a: 65000:10, b: 2026-01-01, c: yes, d: 0x10, e: ~, f: 1.5, 1: x, g: '2'}", "-")
    assert found == {
        "a": "65000:10",
        "b": "2026-01-01",
        "c": True,
        "d": 16,
        "e": None,
        "f": 1.5,
        "1": "x",
        "g": "2",
    }


LAUGHTER = "\n".join(["a0: &a0 []", *(f"a{i}: &a{i} [{','.join(10 * [f'*a{i - 1}'])}]" for i in range(1, 9))])


@pytest.mark.parametrize("text", ["&a [*a]", "[" * 5000, LAUGHTER], ids=["itself", "deep", "laughter"])
def test_what_has_no_end_is_refused(text):
    with pytest.raises(BadFile):
        read(text, "-")


scalars = st.text(max_size=9) | st.integers() | st.booleans() | st.none()


@settings(deadline=None)
@example({"": "0E0"})
@given(st.dictionaries(st.text(max_size=5), st.recursive(scalars, st.lists, max_leaves=5), max_size=3))
def test_yaml_that_is_printed_reads_as_it_was(value):
    assert yaml.safe_load(printing.as_yaml(value)) == value
    (found,) = read(printing.as_yaml({"a": value}), "-")
    assert found["a"] == value


USAGE = Usage(
    "get",
    "<KIND>",
    "",
    "",
    (Option("output", "", "o", "OUT"), Option("all", "", "A"), Option("from", "", value="F", repeats=True)),
    words_max=2,
)


@pytest.mark.parametrize(
    "argv",
    [
        ["pools", "-o", "wide", "-A"],
        ["-owide", "-A", "pools"],
        ["-Ao", "wide", "pools"],
        ["--output=wide", "pools", "--all"],
        ["--all", "--output", "wide", "--", "pools"],
    ],
)
def test_options_stand_anywhere_and_in_any_form(argv):
    found = parse(USAGE, argv)
    assert (found.words, found.value("output"), found.flag("all")) == (("pools",), "wide", True)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["-x"], "unknown flag: -x"),
        (["--colour"], "unknown flag: --colour"),
        (["-o"], "-o needs a value: <OUT>"),
        (["--all=1"], "--all takes no value"),
        (["-oa", "-ob"], "--output is given twice"),
        (["a", "b", "c"], "'c' is one word too many"),
    ],
)
def test_what_cannot_be_read_is_said(argv, said):
    with pytest.raises(BadUsage, match=said):
        parse(USAGE, argv)


async def test_scripts_for_the_real_one_run(ctl):
    await ctl.does(
        "--allow-version-mismatch", "-l", "debug", "get", "-c", "/etc/calico/calicoctl.cfg", "ippools"
    )
    assert parse(USAGE, ["--from=1", "--from", "2"]).values("from") == ("1", "2")
    assert await ctl.does("get", "wep", "-a") == await ctl.does("get", "wep", "-A")
    assert "found 0 problems" in await ctl.does("ipam", "check", "--kubeconfig=/root/.kube/config")


async def test_wrong_words_are_answered_with_help(ctl):
    assert await ctl.refuses("get", "--colour") == (
        "Invalid option: 'calicoctl get --colour' (unknown flag: --colour). "
        "Use flag '--help' to read about a specific subcommand."
    )
    assert (await ctl.refuses("grow")).startswith('Unknown command: "grow"\nUsage:\n  calicoctl <command>')
    assert (await ctl.refuses("ipam", "grow")).startswith('Unknown command: "ipam grow"')
    for words in ((), ("--help",), ("-h",)):
        assert (await ctl.does(*words)).startswith("Usage:\n  calicoctl <command> [<args>...]")
    assert (await ctl.does("ipam", "--help")).startswith("Usage:\n  calicoctl ipam <command>")
    assert (await ctl.does("datastore", "migrate")).startswith("Usage:\n  calicoctl datastore")


@pytest.mark.parametrize("name", ["kcconfig", "KubeControllersConfiguration"])
async def test_a_kind_that_calico_has_and_fabric_does_not_is_refused_with_the_reason(ctl, name):
    assert await ctl.refuses("get", name) == (
        f"failed to get resources: resource type '{name}' is not supported: "
        "fabric does not serve it, since nothing here would follow it"
    )


async def test_a_file_of_such_a_kind_is_refused_with_the_reason_too(ctl):
    text = HEAD.format("KubeControllersConfiguration", "default", "{}")
    assert await ctl.refuses("apply", "-f", "-", stdin=text) == (
        "failed to execute command: unknown resource type (KubeControllersConfiguration) and/or version "
        "(projectcalico.org/v3): fabric does not serve it, since nothing here would follow it"
    )
