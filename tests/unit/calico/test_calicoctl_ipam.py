"""ipam show, check, release, configure and split."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from support.calico_ipam import owner, pool, put_resources
from support.calicoctl import Ctl

from calico.ipam import keys
from calico.ipam.allocator import Ipam
from calico.ipam.configuration import Configuration, read_configuration, write_configuration
from calico.ipam.handles import Handle
from calico.ipam.snapshot import read_snapshot
from calico.resources import datastore
from calico.resources.endpoints import WorkloadEndpoint, endpoint_name
from calico.resources.nodes import Node, NodeBGP
from calico.resources.pools import IPPool
from fabric.store.port import Delete, Put

TUNNELS = NodeBGP(ipv4_address=ip_interface("192.168.0.11/24"), ipv4_ipip_tunnel_addr="10.244.0.13")


@pytest.fixture
async def ctl():
    """Two nodes; pod-1 on node-1 has an address, and node-2 borrowed one of node-1's block for pod-2."""
    ctl = await Ctl().began()
    await put_resources(ctl.store, pool(cidr="10.244.0.0/28"), Node.named("node-1"), Node.named("node-2"))
    for number in (1, 2):
        ipam = Ipam(ctl.store, ctl.clock, f"node-{number}")
        (address,) = await ipam.auto_assign(owner(f"pod-{number}", f"node-{number}"))
        await put_resources(ctl.store, endpoint(number, address))
    return ctl


def endpoint(number: int, address) -> WorkloadEndpoint:
    node, pod = f"node-{number}", f"pod-{number}"
    name = endpoint_name(node, pod)
    return WorkloadEndpoint.named(name, "default", node=node, pod=pod, ip_networks=(ip_network(address),))


async def gone(ctl: Ctl, number: int) -> None:
    """The pod is gone, and nobody released its address."""
    await datastore.delete(
        ctl.store, WorkloadEndpoint, endpoint_name(f"node-{number}", f"pod-{number}"), "default"
    )


def found(out: str) -> list[str]:
    """The sentences that count something else than nothing."""
    scans = out.partition("Scanning for")[2]
    return [
        line for line in scans.splitlines() if line.startswith("Found ") and not line.startswith("Found 0")
    ]


async def test_show_says_whose_an_address_is(ctl):
    out = await ctl.does("ipam", "show", "--ip", "10.244.0.0")
    assert out.startswith(
        "IP 10.244.0.0 is in use\n"
        "Attributes:\n  namespace: default\n  node: node-1\n  pod: pod-1\n  timestamp: 2026-01-01 12:00:00."
    )
    assert await ctl.does("ipam", "show", "--ip=10.244.0.9") == "10.244.0.9 is not assigned\n"
    assert await ctl.does("ipam", "show", "--ip=192.0.2.1") == "192.0.2.1 is not assigned\n"
    assert "invalid IP address specified: ten" in await ctl.refuses("ipam", "show", "--ip=ten")


async def test_what_fits_has_no_problems(ctl):
    out = await ctl.does("ipam", "check")
    assert out.startswith(
        "Checking IPAM for inconsistencies...\n\nLoading all IPAM blocks...\nFound 1 IPAM blocks.\n"
    )
    assert out.endswith("Check complete; found 0 problems.\n")
    assert "Found 2 workload IPs.\nWorkloads and nodes are using 2 IPs.\n\nLoading all handles\n" in out
    assert "  node-1 has 1 allocations\n" in out and "Found 0 node tunnel IPs." in out


async def test_what_leaked_is_found_named_and_released_from_the_report(ctl, tmp_path):
    report = tmp_path / "report.json"
    await gone(ctl, 2)
    await ctl.store.txn(
        [], [Put(keys.handle("k8s-pod-network.old"), Handle({ip_network("10.244.0.0/28"): 1}).to_json())]
    )
    out = await ctl.does("ipam", "check", "--show-problem-ips", "-o", str(report))
    assert found(out) == [
        "Found 1 IPs that are allocated in IPAM but not actually in use.",
        "Found 1 handles with no matching IPs (and 2 handles with matches).",
    ]
    assert "  10.244.0.1 leaked; attrs Main:k8s-pod-network.pod-2 Extra:namespace=default," in out
    assert out.endswith("Check complete; found 2 problems.\n")
    said = json.loads(report.read_text())
    assert said["clusterGUID"] == "abc" and said["datastoreLocked"] is False
    (leak,) = said["allocations"]["10.244.0.1"]
    assert (leak["pod"], leak["inUse"], leak["borrowed"], leak["owners"]) == ("pod-2", False, True, None)
    release = ("ipam", "release", f"--from-report={report}")
    assert "data store is not locked" in await ctl.refuses(*release)
    await ctl.does("datastore", "migrate", "lock")
    assert "reports are all stale" in await ctl.refuses(*release)
    await ctl.does("ipam", "check", "-o", str(report))
    assert await ctl.does(*release) == (
        "Releasing 1 old IPs...\nReleased 1 IPs successfully\nDeleting 1 handles...\n"
        "Key: '.' = Deleted OK; 'x' = skip, handle missing/changed.\n.\n"
        "Released 1 handles; 0 skipped; 0 errors.\nYou may now unlock the data store.\n"
    )
    assert list((await read_snapshot(ctl.store)).handles) == ["k8s-pod-network.pod-1"]
    again = await ctl.does(*release)
    assert "Released 0 IPs successfully\n1 addresses marked as leaked in the report had already" in again


async def test_an_address_that_was_given_out_anew_is_not_released(ctl, tmp_path):
    report = tmp_path / "report.json"
    await gone(ctl, 2)
    await ctl.does("datastore", "migrate", "lock")
    await ctl.does("ipam", "check", "-o", str(report))
    ipam = Ipam(ctl.store, ctl.clock, "node-2")
    (address,) = await ipam.release_handle("k8s-pod-network.pod-2")
    await ipam.assign(address, owner("pod-2", "node-2"))
    assert "Released 0 IPs successfully" in await ctl.does("ipam", "release", f"--from-report={report}")
    assert await ipam.addresses("k8s-pod-network.pod-2") == (address,)


async def test_only_what_all_reports_call_leaked_is_released(ctl, tmp_path):
    first, second = tmp_path / "1.json", tmp_path / "2.json"
    await ctl.does("datastore", "migrate", "lock")
    await ctl.does("ipam", "check", "-o", str(first))
    await gone(ctl, 1)
    await ctl.does("ipam", "check", "-o", str(second))
    both = ("ipam", "release", f"--from-report={first}", f"--from-report={second}")
    assert await ctl.does(*both) == (
        "Report didn't contain any leaked IPs to clean up.\n"
        "Report didn't contain any handles to clean up.\nYou may now unlock the data store.\n"
    )


async def test_reports_of_others_are_refused(ctl, tmp_path):
    report = tmp_path / "report.json"
    await ctl.does("ipam", "check", "-o", str(report))
    said = json.loads(report.read_text())
    release = ("ipam", "release", "--from-report", str(report))
    report.write_text(json.dumps(said | {"clusterGUID": "other"}))
    assert "mismatched cluster GUID. Refusing to release" in await ctl.refuses(*release, "--force")
    report.write_text(json.dumps(said | {"version": "v3"}))
    assert "different version (v3) of calicoctl" in await ctl.refuses(*release)
    assert "WARNING: Report was produced using a different version" in await ctl.does(*release, "--force")
    for text in ("", "[]", "{}", '{"allocations":1}'):
        report.write_text(text)
        assert "is no report of ipam check" in await ctl.refuses(*release)
    assert "no such file" in await ctl.refuses("ipam", "release", "--from-report=/nowhere/x")


async def test_everything_that_does_not_fit_has_its_sentence(ctl):
    await put_resources(
        ctl.store,
        endpoint(3, "192.0.2.1"),
        endpoint(4, "10.244.0.9"),
        endpoint(5, "10.244.0.0"),
        Node.named("node-1", ipv4_vxlan_tunnel_addr="10.244.0.12", bgp=TUNNELS),
    )
    await ctl.store.txn(
        [], [Put(keys.affinity("node-2", ip_network("10.244.0.0/28")), b'{"state":"confirmed"}')]
    )
    out = await ctl.does("ipam", "check", "--show-all-ips")
    assert "  10.244.0.12 belongs to Node(node-1)" in out and "Found 2 node tunnel IPs." in out
    assert (
        "  10.244.0.0 allocated; attrs Main:k8s-pod-network.pod-1 Extra:namespace=default,node=node-1," in out
    )
    assert found(out) == [
        "Found 1 in-use IPs that are not in active IP pools.",
        "Found 3 in-use IPs that are in active IP pools but have no corresponding IPAM allocation.",
        "Found 1 in-use IPs with multiple owners.",
        "Found 1 blocks with an invalid affinity.",
    ]
    assert out.endswith("Check complete; found 6 problems.\n")


async def test_a_handle_that_blocks_name_and_nobody_kept_is_told_once_however_many_addresses_it_has(ctl):
    who = owner("pod-1", "node-1")
    await Ipam(ctl.store, ctl.clock, "node-1").assign(ip_address("10.244.0.5"), replace(who, handle="h"))
    await Ipam(ctl.store, ctl.clock, "node-1").assign(ip_address("10.244.0.6"), replace(who, handle="h2"))
    block = (await read_snapshot(ctl.store)).blocks[ip_network("10.244.0.0/28")]
    both = block.released([5, 6]).taken([5, 6], replace(who, handle="h"))
    gone = [Delete(keys.handle("h")), Delete(keys.handle("h2"))]
    await ctl.store.txn([], [Put(keys.block(block.cidr), both.to_json()), *gone])
    out = await ctl.does("ipam", "check", "--show-problem-ips")
    assert (
        "Scanning for IPs with missing handle...\n  h is in use in a block but doesn't exist.\nFound 1 "
        in out
    )


async def test_pods_of_a_disabled_pool_are_no_problem(ctl):
    await ctl.does("patch", "ippool", "pool-1", "-p", '{"spec":{"disabled":true}}')
    assert (await ctl.does("ipam", "check")).endswith("Check complete; found 0 problems.\n")


async def test_one_address_is_released(ctl):
    assert await ctl.does("ipam", "release", "--ip=10.244.0.1") == (
        "Successfully released IP address 10.244.0.1\n"
    )
    assert await ctl.refuses("ipam", "release", "--ip=10.244.0.1") == "IP address 10.244.0.1 is not assigned"
    assert await ctl.refuses("ipam", "release") == "give either --ip or --from-report"


async def test_the_ipam_is_configured(ctl):
    configure = ("ipam", "configure")
    assert await ctl.does(*configure, "--strictaffinity=true", "--max-blocks-per-host=4") == (
        "Successfully set StrictAffinity to: true\nSuccessfully set MaxBlocksPerHost to: 4\n"
    )
    assert await read_configuration(ctl.store) == Configuration(True, True, 4)
    why = "error: MaxBlocksPerHost requires StrictAffinity to be enabled"
    assert await ctl.refuses(*configure, "--strictaffinity", "false") == why
    assert await ctl.does(*configure, "--strictaffinity", "f", "--max-blocks-per-host=0") == (
        "Successfully set StrictAffinity to: false\nSuccessfully set MaxBlocksPerHost to: 0\n"
    )
    assert await read_configuration(ctl.store) == Configuration(False, True, 0)
    await write_configuration(ctl.store, Configuration(True, auto_allocate_blocks=False))
    why = "error: Cannot disable 'StrictAffinity' and 'AutoAllocateBlocks' at the same time"
    assert await ctl.refuses(*configure, "--strictaffinity", "false") == why
    assert await ctl.refuses(*configure) == "at least one configuration option must be specified"
    assert "Use true or false" in await ctl.refuses(*configure, "--strictaffinity=maybe")
    assert "Use a valid number" in await ctl.refuses(*configure, "--max-blocks-per-host=-1")


async def test_a_pool_is_split_and_pods_keep_their_addresses(ctl):
    await put_resources(ctl.store, pool(block_size=30, cidr="10.244.0.0/28"))
    assert "datastore is not locked" in await ctl.refuses("ipam", "split", "2", "--name=pool-1")
    await ctl.does("datastore", "migrate", "lock")
    before = await read_snapshot(ctl.store)
    assert await ctl.does("ipam", "split", "--cidr=10.244.0.0/28", "2") == (
        "IP Pool pool-1 was successfully split into 2 smaller pools.\n"
        "Created split-pool-1-0 with CIDR 10.244.0.0/29.\n"
        "Created split-pool-1-1 with CIDR 10.244.0.8/29.\n"
        "Please refer to the documentation for final steps.\n"
    )
    pools = await datastore.listed(ctl.store, IPPool)
    assert [(it.name, it.spec.block_size, it.spec.disabled) for it in pools] == [
        ("split-pool-1-0", 30, False),
        ("split-pool-1-1", 30, False),
    ]
    assert await read_snapshot(ctl.store) == before


async def test_a_pool_that_cannot_be_split_stays(ctl):
    await ctl.does("datastore", "migrate", "lock")
    for count in ("1", "3", "0"):
        assert "not a valid power of 2" in await ctl.refuses("ipam", "split", count, "--name=pool-1")
    assert "not large enough" in await ctl.refuses("ipam", "split", "64", "--name=pool-1")
    assert "too small for use" in await ctl.refuses("ipam", "split", "2", "--name=pool-1")
    assert "unable to find IP pool pool-9" in await ctl.refuses("ipam", "split", "2", "--name=pool-9")
    assert "is not a valid number" in await ctl.refuses("ipam", "split", "two", "--name=pool-1")
    assert "no name or CIDR provided" in await ctl.refuses("ipam", "split", "2")
    assert [it.name for it in await datastore.listed(ctl.store, IPPool)] == ["pool-1"]
