"""Whatever BGP resources Calico takes, BIRD takes what is written of them: none spoils the file."""

from __future__ import annotations

import subprocess

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import calico_bgp_any as any_
from support.calico_bgp import cluster

from calico.bgp.config import bird_config
from calico.bgp.peers import SecretRef
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_filters import BGPFilter
from calico.resources.bgp_peers import BGPPeer
from calico.resources.felix import FelixConfiguration
from calico.resources.nodes import Node
from calico.resources.pools import IPPool
from calico.resources.refusals import InvalidResource

NODES = ("node-1", "node-2", "node-3")
EXAMPLES = 150


def taken(resource_type, specs):
    """The resources of these specs, by name, that Calico takes."""
    found = []
    for name, spec in specs.items():
        try:
            found.append(
                resource_type.from_object({"metadata": {"name": name, "labels": LABELS}, "spec": spec})
            )
        except InvalidResource:
            continue
    return found


LABELS = {"route-reflector": "true", "rack": "1"}


def by_name(*names, spec):
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, spec))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    nodes=st.fixed_dictionaries(dict.fromkeys(NODES, any_.nodes)),
    peers=by_name("a", "b", spec=any_.peers),
    filters=by_name("filter-1", "filter-2", spec=any_.filters),
    configurations=by_name("default", "node.node-1", spec=any_.configurations),
    felix=any_.felix,
    pool=any_.pools,
    password=st.one_of(st.sampled_from(["secret", 'with "', "two\nlines", "x" * 600]), st.text(max_size=9)),
)
def test_bird_takes_the_file_of_whatever_calico_takes(
    tmp_path_factory, nodes, peers, filters, configurations, felix, pool, password
):
    snapshot = cluster(
        *taken(Node, {name: {"bgp": bgp} for name, bgp in nodes.items()}),
        *taken(BGPPeer, peers),
        *taken(BGPFilter, filters),
        *taken(BGPConfiguration, configurations),
        *taken(FelixConfiguration, {"default": felix}),
        *taken(IPPool, {"pool-1": {"cidr": "10.244.0.0/16"} | pool}),
    )
    path = tmp_path_factory.mktemp("bird") / "bird.conf"
    for name in NODES:
        config = bird_config(snapshot, name, {SecretRef("known", "k"): password})
        if config is not None:
            path.write_text(str(config))
            said = subprocess.run(["bird", "-p", "-c", path], capture_output=True, text=True, check=False)
            assert said.returncode == 0, f"{said.stderr}\n{config}"
