"""Mininet's command line over a running cluster, through a pipe and with -c."""

from __future__ import annotations

import re
import subprocess
import sys

from support.clusters import TOP, fabric
from support.eventually import eventually


def said(cluster, *lines: str) -> str:
    """What `fabric cli` prints for these lines on its standard input."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "fabric", "cli", cluster.name],
        cwd=TOP,
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    return done.stdout + done.stderr


def test_everything_of_the_cluster_is_a_node(vxlan):
    printed = said(vxlan, "nodes", "net", "dump")
    assert "control-plane node-1 node-2 pod-1 pod-2 pod-3 pod-4 switch" in printed
    assert "node-1 node-1-eth0:switch-node-1" in printed
    ip = next(it["ip"] for it in vxlan.report["pods"] if it["name"] == "pod-3")
    assert f"<Pod pod-3: pod-3-eth0:{ip} pid=" in printed


def test_commands_run_where_they_are_said_and_names_stand_for_addresses(vxlan):
    printed = said(vxlan, "node-1 ping -c1 pod-3", "pod-2 cd /tmp", "pod-2 pwd", "node-2 hostname")
    assert "1 packets transmitted, 1 received" in printed
    assert "/tmp" in printed and "node-2" in printed


def test_all_ping_all(vxlan):
    done = fabric("cli", vxlan.name, "-c", "pingall")
    assert "*** Results: 0% dropped (30/30 received)" in done.stdout, done.stdout + done.stderr
    assert "pod-1 -> node-1 node-2 pod-2 pod-3 pod-4" in done.stdout


def test_bandwidth_is_measured_between_two(vxlan):
    done = fabric("cli", vxlan.name, "-c", "iperf pod-1 pod-3", "-c", "iperfudp 5M pod-1 pod-3")
    assert "*** Iperf: testing TCP bandwidth between pod-1 and pod-3" in done.stdout
    assert done.stdout.count("*** Results: [") == 2 and "bits/sec" in done.stdout, done.stdout
    assert re.search(r"\['5M', '(4\.9|5)", done.stdout), done.stdout


async def test_a_link_that_is_pulled_here_is_down_for_all(vxlan):
    printed = said(vxlan, "link switch node-1 down", "links", "node-1 ip link show eth0")
    assert "node-1-eth0<->switch-node-1 (DOWN DOWN)" in printed
    assert "state DOWN" in printed
    said(vxlan, "link node-1 switch up")
    ping = ("ping", "-c", "1", "-W", "1", "192.168.0.12")
    await eventually(lambda: vxlan.exec("node:node-1", *ping).returncode == 0)


def test_what_cannot_be_is_said_and_the_next_line_goes_on(vxlan):
    printed = said(vxlan, "fly", "link node-1 node-2 down", "pod-9 ls", "# a comment", "nodes", "exit", "net")
    assert "*** Unknown command: fly" in printed
    assert "B: no link between node-1 and node-2; node-1 is linked to switch" in printed
    assert "*** Unknown command: pod-9 ls" in printed
    assert "available nodes are" in printed and "node-1-eth0:switch" not in printed


def test_no_shell_is_left_behind(vxlan):
    said(vxlan, "node-1 true", "pod-1 true")
    for where in ("node:node-1", "pod-1"):
        assert vxlan.exec(where, "pgrep", "-f", "mininet:").stdout == ""
