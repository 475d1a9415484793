"""Every rule of flannel's reads back to the letter, on both kernel sides of iptables and in both families."""

from __future__ import annotations

import os
from ipaddress import ip_network

import pytest
from support.flannel_cluster import conf_of, config
from support.namespaces import namespaces, run_inside

from fabric.kernel.linux import LinuxKernel
from fabric.netstate.plan import diff
from flannel import ownership, traffic

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]

NETWORKS = [ip_network("10.244.0.0/16"), ip_network("fd00:10:244::/48")]
SUBNETS = [ip_network("10.244.1.0/24"), ip_network("fd00:10:244:1::/64")]


@pytest.mark.parametrize("flavour", ["nft", "legacy"])
async def test_the_rules_read_back_and_stand_behind_those_of_others(flavour, monkeypatch, tmp_path):
    monkeypatch.setenv("FABRIC_IPTABLES", flavour)
    monkeypatch.setenv("XTABLES_LOCKFILE", str(tmp_path / "xtables.lock"))
    desired = traffic.desired_state(NETWORKS, SUBNETS)
    owner = ownership.owner(conf_of(config(cidrs="10.244.0.0/16 fd00:10:244::/48")))
    with namespaces("node-1") as pids:
        run_inside(
            pids["node-1"],
            f"iptables-{flavour}",
            *["-t", "nat", "-A", "POSTROUTING", "-j", "RETURN", "-s", "1.2.3.4"],
        )
        kernel = LinuxKernel(pids)
        try:
            host = kernel.host("node-1")
            await host.apply(diff(desired, frozenset()))
            assert str(diff(desired, await host.read(owner))) == ""
            saved = run_inside(pids["node-1"], f"iptables-{flavour}-save", "-t", "nat").splitlines()
            jumps = [line for line in saved if line.startswith("-A POSTROUTING")]
            assert ["FLANNEL-POSTRTG" in line for line in jumps] == [False, True]
            await host.apply(diff(frozenset(), await host.read(owner)))
            assert "FLANNEL" not in run_inside(pids["node-1"], f"iptables-{flavour}-save")
        finally:
            kernel.close()
