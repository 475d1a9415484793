"""Each message names the broken rule at its own path, with what to write, for every way in alike."""

from __future__ import annotations

from ipaddress import ip_interface, ip_network

import pytest
import yaml
from support.calicoctl import CONFIG, Ctl
from support.registry import new_registry

from calico import served
from calico.plugin import CalicoPlugin
from calico.resources.envelope import API_VERSION
from fabric.apiserver.options import WriteOptions
from fabric.errors import Invalid
from fabric.plugin.contract import NetworkConfig, NodeFacts
from fabric.store.memory import MemoryStore

KINDS = {kind.kind: kind for kind in served.kinds(CONFIG)}
NAME = "a qualified name must consist of alphanumeric characters"
BROKEN = {
    "a CIDR with host bits": (
        "{cidr: 10.244.0.1/24}",
        "{}",
        "spec.cidr",
        "CIDR is not strictly masked; write 10.244.0.0/24",
    ),
    "an address": ("{cidr: 10.244.0.5}", "{}", "spec.cidr", "must be a valid subnet such as 10.244.0.0/16"),
    "a prefix of 33": (
        "{cidr: 10.244.0.0/33}",
        "{}",
        "spec.cidr",
        "must be a valid subnet such as 10.244.0.0/16",
    ),
    "a pool below its block size": (
        "{cidr: 10.244.0.0/27}",
        "{}",
        "spec.cidr",
        "It must be equal to or greater than the block size (/26).",
    ),
    "a selector that is a mapping": (
        "{cidr: 10.244.0.0/24, nodeSelector: {rack: '1'}}",
        "{}",
        "spec.nodeSelector",
        "a selector is text such as has(rack) or rack == '1'",
    ),
    "a key with two slashes": ("{cidr: 10.244.0.0/24}", "{labels: {a/b/c: x}}", "metadata.labels", NAME),
    "a value of 64": (
        "{cidr: 10.244.0.0/24}",
        "{labels: {a: %s}}" % ("x" * 64),
        "metadata.labels",
        "must be no more than 63 bytes",
    ),
    "an annotation's key": (
        "{cidr: 10.244.0.0/24}",
        "{annotations: {a/b/c: x}}",
        "metadata.annotations",
        NAME,
    ),
}


def pool(spec: str, meta: str) -> dict:
    metadata = {"name": "pool-1"} | yaml.safe_load(meta)
    return {
        "apiVersion": API_VERSION,
        "kind": "IPPool",
        "metadata": metadata,
        "spec": yaml.safe_load(spec),
    }


@pytest.mark.parametrize("spec, meta, path, words", BROKEN.values(), ids=BROKEN)
async def test_calicoctl_names_the_rule(spec, meta, path, words):
    ctl = await Ctl().began()
    for verb in ("create", "apply", "validate"):
        said = await ctl.refuses(verb, "-f", "-", stdin=yaml.safe_dump(pool(spec, meta)))
        assert f"IPPool.{path} = " in said and words in said


@pytest.mark.parametrize("spec, meta, path, words", BROKEN.values(), ids=BROKEN)
async def test_kubectl_is_told_the_rule(spec, meta, path, words):
    async with new_registry(MemoryStore(), *KINDS.values()) as registry:
        with pytest.raises(Invalid) as caught:
            await registry.create(KINDS["IPPool"], "", pool(spec, meta), WriteOptions())
    (cause,) = caught.value.details["causes"]
    # The server's own check of types comes first, and speaks as OpenAPI does.
    assert cause["field"] == path
    assert words in cause["message"] or "must be of type string" in cause["message"]


@pytest.mark.parametrize("spec, meta, path, words", BROKEN.values(), ids=BROKEN)
def test_a_topology_file_names_the_rule(spec, meta, path, words):
    config = NetworkConfig(CONFIG.pod_cidrs, (), options={"resources": [pool(spec, meta)]})
    assert [where for where, what in CalicoPlugin().problems(config, []) if words in what] == [
        f"options.resources[0].{path}"
    ]


def test_labels_that_stand_there_already_can_be_kept():
    """What an earlier version took stays readable and changeable, as for unknown keys."""
    resource_type = served.table.RESOURCE_TYPES["IPPool"]
    old = pool("{cidr: 10.244.0.0/24}", "{labels: {a/b/c: x}}")
    assert resource_type.from_manifest(old | {"spec": {"cidr": "10.244.0.0/24", "disabled": True}}, old)


async def test_a_label_that_is_no_label_is_refused_with_its_rule():
    ctl = await Ctl().began()
    await ctl.does("create", "-f", "-", stdin=yaml.safe_dump(pool("{cidr: 10.244.0.0/24}", "{}")))
    for label, rule in (
        ("a/b/c=x", NAME),
        ("a=" + "x" * 64, "must be no more than 63 bytes"),
        ("=x", "name part must be non-empty"),
        ("a=b=c", "a valid label must be an empty string or consist of"),
    ):
        said = await ctl.refuses("label", "ippool", "pool-1", label)
        assert said.startswith(f"invalid label {label}: ") and rule in said
    assert await ctl.refuses("label", "ippool", "pool-1", "rack") == "invalid label rack"


@pytest.mark.parametrize(
    "spec, line",
    [
        ("{cidr: 10.244.0.0/24, nodeSelector: !has(x)}", 4),
        ("\n  cidr: 10.244.0.0/24\n  nodeSelector: !has(x)", 6),
        ("\n  cidr: 10.244.0.0/24\n  nodeSelector: ! has(x)", 6),
    ],
)
async def test_a_selector_that_yaml_would_eat_is_refused_at_its_line(spec, line):
    ctl = await Ctl().began()
    text = f"apiVersion: {API_VERSION}\nkind: IPPool\nmetadata: {{name: pool-1}}\nspec: {spec}\n"
    said = await ctl.refuses("create", "-f", "-", stdin=text)
    assert said.startswith(f"failed to execute command: -: line {line}: ")
    assert said.endswith("a value that begins with ! must be quoted: '!has(x)'")


async def test_kubectl_sends_an_eaten_selector_as_an_empty_text_and_is_warned():
    told: list[str] = []
    options = WriteOptions(warn=told.append)
    async with new_registry(MemoryStore(), *KINDS.values()) as registry:
        made = await registry.create(
            KINDS["IPPool"], "", pool("{cidr: 10.244.0.0/24, nodeSelector: ''}", "{}"), options
        )
        assert made["spec"]["nodeSelector"] == "all()" and "must be quoted: '!has(x)'" in told.pop()
        fine = pool("{cidr: 10.244.1.0/24, nodeSelector: all()}", "{}")
        fine["metadata"]["name"] = "pool-2"
        await registry.create(KINDS["IPPool"], "", fine, options)
        changed = made | {"spec": made["spec"] | {"nodeSelector": ""}}
        assert told == []
        await registry.update(
            KINDS["IPPool"], "", "pool-1", changed | {"metadata": made["metadata"]}, options
        )
        assert len(told) == 1


NODES = tuple(NodeFacts(f"node-{n}", (ip_interface(f"192.168.0.1{n}/24"),), "eth0", 1500) for n in (1, 2, 3))


@pytest.mark.parametrize(
    "cidr, options, words",
    [
        (
            "10.244.0.0/30",
            {},
            "4 addresses for 3 nodes, each of which needs an address for a pod and one for",
        ),
        ("10.244.0.0/31", {"vxlanMode": "Never"}, "2 addresses for 3 nodes, each of which needs an address"),
        ("169.254.0.0/24", {}, "overlaps with IPv4 Link Local range"),
        ("10.244.0.0/24", {"blockSize": 20}, "It must be equal to or greater than the block size (/20)."),
    ],
)
def test_a_pod_cidr_that_does_not_do_is_named_at_its_own_line(cidr, options, words):
    config = NetworkConfig((ip_network(cidr),), (), options=options)
    ((path, what),) = CalicoPlugin().problems(config, NODES)
    assert path == "/podCIDR" and words in what


def test_the_smallest_pod_cidr_that_does_is_taken():
    for cidr, options in (("10.244.0.0/29", {}), ("10.244.0.0/30", {"vxlanMode": "Never"})):
        assert not CalicoPlugin().problems(NetworkConfig((ip_network(cidr),), (), options=options), NODES)
