"""The shipped topologies with host endpoints and with tiers do what their comments and the oracle say."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml
from support.clusters import TOP, Cluster, fabric
from support.eventually import eventually

from fabric.cluster.lookup import need_spec
from fabric.cluster.paths import ClusterPaths
from fabric.verify.matrix import Mark, Port
from fabric.verify.probed_matrix import endpoints, probe_matrix
from fabric.verify.probes import Patience

METRICS, WEB, HOST_PORT, SQL, SSH = (Port("tcp", it) for it in (9100, 80, 8080, 5432, 22))
QUICK = Patience(0.3, tries=2)


def shipped(folder: Path, name: str) -> Cluster:
    """The topology under a name of the test's own."""
    topology = yaml.safe_load((TOP / f"topologies/{name}.yaml").read_text())
    spec = topology["spec"]
    paths = [str(TOP / "topologies" / it) for it in spec.pop("manifests")]
    return Cluster(folder, pods=paths, **spec)


class Asked:
    """A running cluster that is asked who reaches whom."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        paths = ClusterPaths(cluster.name)
        self.known = asyncio.run(endpoints(paths, need_spec(paths)))

    def reaches(self, source: str, target: str, port: Port) -> bool:
        matrix = asyncio.run(probe_matrix(self.known, [source], [target], [port], patience=QUICK))
        return matrix.cells[source, target, port].mark in (Mark.allowed, Mark.refused)

    def differs(self, *options: str) -> str:
        """What differs between packets and the oracle in a matrix with these options; empty for nothing."""
        done = fabric("policy", "matrix", *options, "--cluster", self.cluster.name)
        return done.stdout + done.stderr if done.returncode else ""


def running(tmp_path_factory, name):
    cluster = shipped(tmp_path_factory.mktemp("cluster"), name)
    try:
        cluster.up()
        yield Asked(cluster)
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """The topology host-endpoints.yaml."""
    yield from running(tmp_path_factory, "host-endpoints")


@pytest.fixture(scope="module")
def tiers(tmp_path_factory):
    """The topology tiers.yaml."""
    yield from running(tmp_path_factory, "tiers")


async def is_so(asked: Asked, source: str, target: str, port: Port, allowed: bool) -> None:
    """A packet arrives, or does not."""
    await eventually(lambda: asyncio.to_thread(lambda: asked.reaches(source, target, port) is allowed))


@pytest.mark.parametrize(
    ("source", "target", "port", "allowed"),
    [
        ("node/node-2", "node/node-1", METRICS, True),
        ("node/node-3", "node/node-1", METRICS, False),
        ("node/node-3", "node/node-1", SSH, True),
        ("node/node-1", "node/node-3", METRICS, True),
        ("default/pod-3", "default/pod-1", WEB, True),
        ("node/node-1", "default/pod-1", WEB, True),
        ("node/node-3", "default/pod-2", WEB, True),
        ("node/node-1", "default/pod-2", WEB, True),
        ("node/node-3", "node/node-2", HOST_PORT, True),
        ("node/node-1", "node/node-2", METRICS, True),
        ("default/pod-3", "node/node-3", METRICS, False),
        ("default/pod-1", "node/node-1", METRICS, True),
    ],
)
async def test_hosts_are_guarded_as_the_topology_says(hosts, source, target, port, allowed):
    await is_so(hosts, source, target, port, allowed)


async def test_a_host_port_is_closed_to_whom_a_policy_before_dnat_denies_it(hosts):
    way = ("node/node-1", "node/node-2", HOST_PORT)
    await eventually(lambda: asyncio.to_thread(lambda: not hosts.reaches(*way)))


@pytest.mark.parametrize(
    ("source", "target", "port", "allowed"),
    [
        ("shop/web", "shop/db", SQL, True),
        ("shop/web", "shop/db", METRICS, False),
        ("ops/prometheus", "shop/db", METRICS, True),
        ("ops/prometheus", "shop/db", SQL, False),
        ("ops/prometheus", "shop/web", WEB, True),
        ("shop/web-old", "shop/db", SQL, False),
        ("ops/prometheus", "shop/web-old", METRICS, False),
        ("shop/db", "shop/web", WEB, False),
    ],
)
async def test_tiers_decide_one_after_the_other_as_the_topology_says(tiers, source, target, port, allowed):
    await is_so(tiers, source, target, port, allowed)


def test_packets_do_as_the_oracle_says_of_both_topologies(hosts, tiers):
    assert not hosts.differs("--nodes", "--port", "9100/tcp", "--port", "80/tcp", "--port", "22/tcp")
    assert not tiers.differs("--port", "9100/tcp", "--port", "5432/tcp")


def test_lint_has_nothing_to_say_of_the_tiers(tiers):
    found = fabric("policy", "lint", "--cluster", tiers.cluster.name)
    assert found.returncode == 0, found.stdout + found.stderr
