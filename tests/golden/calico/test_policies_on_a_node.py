"""All chains and sets of policies on one node, as `iptables-save` and `ipset save` print them.

The shop of `topologies/policy.yaml`, with a tier before its policies and a host endpoint: to be laid beside
those of a node of a real cluster, line by line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import yaml
from support.pages import TOP
from support.rendered_policies import Rendered

from fabric.netstate.objects import Chain, IpSet, Jump
from fabric.policy import worlds

FILES = ("pods/shop.yaml", "policies/recipes.yaml", "policies/quarantine.yaml")
TABLES = ("raw", "mangle", "nat", "filter")
HOST = {
    "apiVersion": "projectcalico.org/v3",
    "kind": "HostEndpoint",
    "metadata": {"name": "node-1", "labels": {"role": "node"}},
    "spec": {"node": "node-1", "interfaceName": "eth0"},
}
TO_HOSTS = {
    "apiVersion": "projectcalico.org/v3",
    "kind": "GlobalNetworkPolicy",
    "metadata": {"name": "hosts"},
    "spec": {
        "selector": "role == 'node'",
        "types": ["Ingress"],
        "ingress": [
            {"action": "Allow", "protocol": "ICMP", "icmp": {"type": 8}},
            {"action": "Log", "protocol": "TCP", "destination": {"ports": [22, "8000:8080"]}},
            {
                "action": "Deny",
                "source": {"nets": ["10.0.0.0/8", "172.16.0.0/12"], "notNets": ["10.1.0.0/16"]},
            },
        ],
    },
}


def objects() -> Iterator[dict]:
    """The shop's objects, its pods on their nodes, and a host endpoint with its policy."""
    for number in (1, 2, 3):
        addresses = [{"type": "InternalIP", "address": f"192.168.0.1{number}"}]
        yield {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": f"node-{number}"},
            "status": {"addresses": addresses},
        }
    for file in FILES:
        for obj in yaml.safe_load_all((TOP / "topologies" / file).read_text()):
            if obj["kind"] == "Pod":
                obj["spec"]["nodeName"] = obj["spec"]["nodeSelector"]["kubernetes.io/hostname"]
            yield obj
    yield from (HOST, TO_HOSTS)


@pytest.fixture(scope="module")
def node_1() -> list[Chain | Jump | IpSet]:
    world = worlds.of_manifests(objects())
    of_policies = tuple(it for it in world.objects if it["apiVersion"] != "v1")
    found = Rendered(replace(world, objects=of_policies)).objects["node-1"]
    return [it for it in found if isinstance(it, Chain | Jump | IpSet) and it.family == 4]


def test_the_rules_of_a_node_read_as_iptables_save_prints_them(
    node_1: list[Chain | Jump | IpSet], golden: Callable[[str, str], None]
):
    lines = []
    for table in TABLES:
        chains = sorted(
            (it for it in node_1 if isinstance(it, Chain) and it.table == table), key=lambda it: it.name
        )
        jumps = sorted((it for it in node_1 if isinstance(it, Jump) and it.table == table), key=str)
        lines += [f"*{table}", *(f":{it.name} - [0:0]" for it in chains), *map(str, jumps)]
        lines += [f"-A {it.name} {rule}" for it in chains for rule in it.rules]
        lines.append("COMMIT")
    golden("policies-iptables", "".join(f"{line}\n" for line in lines))


def test_the_sets_of_a_node_have_felix_names_types_and_members(
    node_1: list[Chain | Jump | IpSet], golden: Callable[[str, str], None]
):
    sets = sorted((it for it in node_1 if isinstance(it, IpSet)), key=lambda it: it.name)
    golden("policies-ipset", "".join(f"{it}\n" for it in sets))
