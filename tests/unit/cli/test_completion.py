"""What the shell offers for a half-typed command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fabric.cluster import spec as specs
from fabric.cluster.paths import ClusterPaths
from fabric.topology.load import loads

RACKS = loads(
    "apiVersion: fabric.dev/v1\nkind: Topology\nmetadata: {name: racks}\n"
    "spec: {nodes: 2, network: {plugin: flannel}, underlay: {kind: leaf-spine}}\n",
    Path("t.yaml"),
)


@pytest.fixture
def offered(tmp_path):
    """What is offered for the last word where the cluster `racks` is meant; others may run beside it."""
    environment = os.environ | {
        "FABRIC_RUN_DIR": str(tmp_path / "run"),
        "FABRIC_STATE_DIR": str(tmp_path / "state"),
        "FABRIC_CLUSTER": "racks",
        "_FABRIC_COMPLETE": "complete_bash",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FABRIC_RUN_DIR", "FABRIC_STATE_DIR"):
            patch.setenv(name, environment[name])
        paths = ClusterPaths("racks")
        paths.make()
        specs.write(paths.spec, specs.choose(RACKS, None, api_port=1, workers=1))

    def ask(line):
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
        done = subprocess.run(
            [sys.executable, "-P", "-m", "fabric"],
            env=environment | words,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return done.stdout.split()

    return ask


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("fabric link down --cluster racks le", ["leaf-1", "leaf-2"]),
        ("fabric link set leaf-1 ", ["control-plane", "node-1", "spine-1", "spine-2"]),
        ("fabric link show --cluster racks leaf-2 sp", ["spine-1", "spine-2"]),
        ("fabric routes no", ["node-1", "node-2"]),
        ("fabric exec --node spine-", ["spine-1", "spine-2"]),
        ("fabric bgp rack", ["racks"]),
        ("fabric routes --cluster nowhere no", []),
        ("fabric calicoctl ip", ["ipam"]),
        ("fabric calicoctl ipam s", ["show", "split"]),
        ("fabric calicoctl --cluster racks get bgpp", ["bgppeers"]),
        ("fabric calicoctl get ippools -o cu", ["custom-columns="]),
    ],
)
def test_names_of_the_cluster_that_is_meant_are_offered(offered, line, names):
    assert sorted(offered(line)) == names
