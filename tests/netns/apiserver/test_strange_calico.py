"""Whatever is sent for Calico's kinds is stored or refused, and what is stored can be listed ever after."""

from __future__ import annotations

from ipaddress import ip_network
from random import Random
from typing import Any

import pytest
from support.api_server import api_server
from support.strange_json import strange

from calico import served
from calico.resources.envelope import API_VERSION
from fabric.api.kinds import BUILT_IN
from fabric.plugin.contract import NetworkConfig

CONFIG = NetworkConfig((ip_network("10.244.0.0/16"),), ())
FILTER_RULE = {
    "action": "Accept",
    "matchOperator": "In",
    "cidr": "10.0.0.0/8",
    "prefixLength": {"min": 9, "max": 20},
    "source": "RemotePeers",
    "interface": "eth*",
}
SPECS: dict[str, dict[str, Any]] = {
    "IPPool": {
        "cidr": "10.244.0.0/24",
        "blockSize": 26,
        "nodeSelector": "all()",
        "natOutgoing": True,
        "allowedUses": ["Workload"],
        "vxlanMode": "Never",
        "ipipMode": "Always",
    },
    "BGPPeer": {
        "peerIP": "192.0.2.1:179",
        "asNumber": 65000,
        "nodeSelector": "rack == '1'",
        "filters": ["filter"],
        "password": {"secretKeyRef": {"name": "secret", "key": "key"}},
        "maxRestartTime": "10s",
        "ttlSecurity": 2,
    },
    "BGPConfiguration": {
        "asNumber": 64512,
        "nodeToNodeMeshEnabled": True,
        "serviceClusterIPs": [{"cidr": "10.96.0.0/16"}],
        "communities": [{"name": "a", "value": "1:2"}],
        "prefixAdvertisements": [{"cidr": "10.244.0.0/16", "communities": ["a"]}],
        "listenPort": 179,
    },
    "BGPFilter": {"exportV4": [FILTER_RULE], "importV6": [{"action": "Reject"}]},
    "IPReservation": {"reservedCIDRs": ["10.244.0.0/30"]},
    "IPAMConfiguration": {"strictAffinity": True, "autoAllocateBlocks": True, "maxBlocksPerHost": 4},
}
KINDS = {kind.kind: kind for kind in served.kinds(CONFIG)}
ACCEPTS = [
    "application/json",
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
]
QUERIES = ["", "", "?fieldValidation=Strict", "?fieldValidation=Ignore", "?dryRun=All"]


@pytest.fixture
async def running(tmp_path):
    async with api_server(tmp_path, (*BUILT_IN, *served.kinds(CONFIG))) as started:
        yield started


def strange_object(random: Random, kind: str) -> dict[str, Any]:
    meta = {"name": "default", "labels": {"a": "b"}, "annotations": {"x": "y"}}
    obj = {"apiVersion": API_VERSION, "kind": kind, "metadata": meta, "spec": SPECS[kind]}
    return strange(random, obj) if random.random() < 0.7 else obj


def strange_patch(random: Random) -> list[dict[str, Any]]:
    paths = ["", "/kind", "/metadata", "/metadata/labels/a", "/metadata/name", "/spec", "/spec/cidr"]
    op = random.choice(["add", "remove", "replace", "test", "move", "copy"])
    patch = {"op": op, "path": random.choice(paths), "from": random.choice(paths), "value": {"a": "b"}}
    return [strange(random, patch) if random.random() < 0.7 else patch]


def strange_write(random: Random, kind: str, path: str) -> tuple[str, str, Any, str]:
    """Method, path, body and content type of one write."""
    named, query = f"{path}/default", random.choice(QUERIES)
    return random.choice(
        [
            ("POST", path + query, strange_object(random, kind), "application/json"),
            ("POST", path + query, strange_object(random, kind), "application/json"),
            ("PUT", named + query, strange_object(random, kind), "application/json"),
            ("PATCH", named + query, strange_object(random, kind), "application/merge-patch+json"),
            ("PATCH", named + query, strange_patch(random), "application/json-patch+json"),
            ("DELETE", named + query, None, ""),
        ]
    )


@pytest.mark.parametrize("kind", SPECS)
async def test_no_object_is_too_strange_and_lists_live_on(http, kind):
    random = Random(kind)
    path = f"/apis/{API_VERSION}/{KINDS[kind].plural}"
    stored = 0
    for _ in range(120):
        method, where, body, content_type = strange_write(random, kind, path)
        code, _, answer = await http(method, where, body, Content_Type=content_type)
        assert code < 500, f"{method} {where} {body!r}: {answer!r}"
        stored += code in (200, 201)
        code, _, answer = await http("GET", path, Accept=random.choice(ACCEPTS))
        assert code == 200, f"listed after {method} {where} {body!r}: {answer!r}"
    assert stored > 5
