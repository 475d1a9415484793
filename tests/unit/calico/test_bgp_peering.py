"""Which sessions a node has, seen in its bird.conf."""

import re
from dataclasses import replace

import pytest
from support.calico_bgp import (
    bgp_filter,
    cluster,
    configuration,
    labelled,
    mesh,
    peer,
    racks,
    reflected,
    reflector,
)
from support.calico_nodes import node

from calico.bgp.config import bird_config, wanted_secrets
from calico.bgp.peers import SecretRef
from calico.resources.nodes import Node
from calico.syncer import Snapshot

SECRET = SecretRef("bgp-secrets", "rack-1")
PASSWORD = {"secretKeyRef": {"name": "bgp-secrets", "key": "rack-1"}}


def text(snapshot: Snapshot, name: str, secrets: dict[SecretRef, str] | None = None) -> str:
    config = bird_config(snapshot, name, secrets or {})
    assert config is not None
    return str(config)


def sessions(snapshot: Snapshot, name: str, secrets: dict[SecretRef, str] | None = None) -> list[str]:
    return re.findall(r"^protocol bgp (\S+) from", text(snapshot, name, secrets), re.MULTILINE)


def session(
    snapshot: Snapshot, name: str, which: str, secrets: dict[SecretRef, str] | None = None
) -> list[str]:
    """The lines of one session's block."""
    found = re.search(rf"protocol bgp {which} from (.*?)\n}}", text(snapshot, name, secrets), re.DOTALL)
    assert found, f"{name} has no session {which}"
    return [line.strip() for line in found[1].splitlines()[1:]]


def dialled(snapshot: Snapshot) -> set[tuple[str, str]]:
    """(who dials, whom) of every session between nodes."""
    address = {name: str(it.spec.bgp.ipv4_address.ip) for name, it in snapshot.nodes.items() if it.spec.bgp}
    pairs = set()
    for me in address:
        for other in address:
            for kind in ("Mesh", "Node", "Global"):
                name = f"{kind}_{address[other].replace('.', '_')}"
                if name in sessions(snapshot, me) and "passive on;" not in session(snapshot, me, name):
                    pairs.add((me, other))
    return pairs


def test_in_a_mesh_every_node_has_every_other_and_one_of_two_dials():
    snapshot = mesh(12)  # 192.168.0.9 and 192.168.0.10 sort otherwise as text
    for number in range(1, 13):
        assert len(sessions(snapshot, f"node-{number}")) == 11
    pairs = dialled(snapshot)
    assert len(pairs) == 12 * 11 / 2
    assert all((other, me) not in pairs for me, other in pairs)


def test_a_node_without_bgp_has_no_bird_conf_and_is_nobody_s_peer():
    snapshot = cluster(node(1), node(2), Node.named("node-3"))
    assert bird_config(snapshot, "node-3", {}) is None
    assert bird_config(snapshot, "node-9", {}) is None
    assert sessions(snapshot, "node-1") == ["Mesh_192_168_0_12"]


def test_route_reflectors_are_outside_the_mesh():
    snapshot = cluster(reflector(1), node(2), node(3))
    assert sessions(snapshot, "node-1") == []
    assert sessions(snapshot, "node-2") == ["Mesh_192_168_0_13"]


def test_clients_have_the_reflectors_and_reflectors_have_everybody():
    snapshot = reflected()
    assert sessions(snapshot, "node-3") == ["Node_192_168_0_11", "Node_192_168_0_12"]
    assert sessions(snapshot, "node-1") == [f"Node_192_168_0_{last}" for last in (12, 13, 14, 15)]
    assert len(dialled(snapshot)) == 3 * 2 + 1, "each pair once"


def test_a_reflector_reflects_to_clients_and_not_to_its_own_cluster():
    snapshot = reflected()
    assert "rr cluster id 244.0.0.1;" in session(snapshot, "node-1", "Node_192_168_0_13")
    assert "rr client on;" not in session(snapshot, "node-1", "Node_192_168_0_12")
    assert "rr client on;" not in session(snapshot, "node-3", "Node_192_168_0_11")


def test_a_reflector_of_another_cluster_is_a_client():
    snapshot = cluster(
        reflector(1),
        reflector(2, "244.0.0.2"),
        peer("reflectors", nodeSelector="all()", peerSelector="has(route-reflector)"),
    )
    assert "rr cluster id 244.0.0.1;" in session(snapshot, "node-1", "Node_192_168_0_12")


def test_nodes_take_the_as_number_they_have_or_the_cluster_s():
    snapshot = cluster(node(1, as_number=65001), node(2), configuration(asNumber=64600))
    assert session(snapshot, "node-1", "Mesh_192_168_0_12")[0] == "neighbor 192.168.0.12 as 64600;"
    assert session(snapshot, "node-2", "Mesh_192_168_0_11")[0] == "neighbor 192.168.0.11 as 65001;"
    assert "calico_export_to_bgp_peers(false);" in session(snapshot, "node-2", "Mesh_192_168_0_11")


def test_in_a_rack_nodes_have_their_leaf_alone():
    snapshot = racks()
    assert sessions(snapshot, "node-1") == ["Node_192_168_1_1"]
    assert session(snapshot, "node-1", "Node_192_168_1_1") == ["neighbor 192.168.1.1 as 65001;"]
    assert "calico_export_to_bgp_peers(false);" in session(snapshot, "node-3", "Node_192_168_2_1")


def test_a_peer_that_is_a_node_of_the_cluster_has_the_session_too():
    snapshot = cluster(
        node(1),
        node(2),
        configuration(nodeToNodeMeshEnabled=False),
        peer("two", node="node-1", peerIP="192.168.0.12", asNumber=64512),
    )
    assert sessions(snapshot, "node-1") == ["Node_192_168_0_12"]
    assert sessions(snapshot, "node-2") == ["Node_192_168_0_11"]
    assert dialled(snapshot) == {("node-2", "node-1")}


def test_a_manual_peer_is_not_reversed():
    snapshot = cluster(
        node(1),
        node(2),
        configuration(nodeToNodeMeshEnabled=False),
        peer("two", node="node-1", peerIP="192.168.0.12", asNumber=64512, reversePeering="Manual"),
    )
    assert sessions(snapshot, "node-2") == []


def test_of_several_peers_with_one_address_the_first_counts():
    somewhere = {"peerIP": "192.0.2.1", "asNumber": 65000}
    snapshot = mesh(
        1,
        peer("b", nodeSelector="all()", **somewhere, maxRestartTime="10s"),
        peer("a", node="node-1", **somewhere, maxRestartTime="20s"),
        peer("z", **somewhere, maxRestartTime="30s"),
    )
    assert sessions(snapshot, "node-1") == ["Global_192_0_2_1"], "one for all nodes comes before one for some"
    assert "graceful restart time 30;" in session(snapshot, "node-1", "Global_192_0_2_1")
    without = replace(
        snapshot, resources={**snapshot.resources, type(snapshot.peers["z"]): dict(snapshot.peers)}
    )
    del without.resources[type(snapshot.peers["z"])]["z"]  # type: ignore[attr-defined]
    assert "graceful restart time 20;" in session(without, "node-1", "Node_192_0_2_1"), "then by name"


def test_one_address_with_two_ports_is_two_sessions():
    snapshot = mesh(
        1,
        peer("a", peerIP="192.0.2.1:1790", asNumber=65000),
        peer("b", peerIP="192.0.2.1", asNumber=65000),
    )
    assert sessions(snapshot, "node-1") == ["Global_192_0_2_1", "Global_192_0_2_1_port_1790"]
    first = session(snapshot, "node-1", "Global_192_0_2_1_port_1790")[0]
    assert first == "neighbor 192.0.2.1 port 1790 as 65000;"


def test_a_chosen_session_takes_the_place_of_the_mesh_s():
    snapshot = mesh(3, peer("two", node="node-1", peerIP="192.168.0.12", asNumber=64512, keepaliveTime="1s"))
    assert sessions(snapshot, "node-1") == ["Mesh_192_168_0_13", "Node_192_168_0_12"]
    assert sessions(snapshot, "node-2") == ["Mesh_192_168_0_13", "Node_192_168_0_11"]
    assert dialled(snapshot) == {("node-2", "node-1"), ("node-3", "node-1"), ("node-3", "node-2")}


def test_nobody_is_its_own_peer():
    snapshot = cluster(
        node(1),
        node(2),
        configuration(nodeToNodeMeshEnabled=False),
        peer("all", peerSelector="all()"),
        peer("one", peerIP="192.168.0.11", asNumber=64512),
    )
    assert sessions(snapshot, "node-1") == ["Global_192_168_0_12"]


def test_a_node_s_own_listening_port_is_what_the_others_call():
    snapshot = mesh(2, configuration("node.node-1", listenPort=1791))
    assert session(snapshot, "node-2", "Mesh_192_168_0_11")[0] == "neighbor 192.168.0.11 port 1791 as 64512;"
    assert "local 192.168.0.11 port 1791 as 64512;" in text(snapshot, "node-1")


def test_selectors_look_at_the_labels_of_calico_s_nodes():
    snapshot = cluster(
        labelled(node(1), zone="a"),
        labelled(node(2), zone="b"),
        configuration(nodeToNodeMeshEnabled=False),
        peer("edge", nodeSelector="zone == 'b'", peerIP="192.0.2.1", asNumber=65000),
    )
    assert sessions(snapshot, "node-1") == []
    assert sessions(snapshot, "node-2") == ["Node_192_0_2_1"]


def test_a_session_waits_for_its_password():
    snapshot = mesh(2, peer("edge", peerIP="192.0.2.1", asNumber=65000, password=PASSWORD))
    assert wanted_secrets(snapshot) == {SECRET}
    assert sessions(snapshot, "node-1") == ["Mesh_192_168_0_12"]
    why = "# Global_192_0_2_1 is left out: there is no Secret bgp-secrets with a key rack-1 in kube-system"
    assert why in text(snapshot, "node-1")
    assert 'password "a secret";' in session(snapshot, "node-1", "Global_192_0_2_1", {SECRET: "a secret"})


def test_the_mesh_waits_for_its_password():
    snapshot = mesh(3, configuration(nodeMeshPassword=PASSWORD))
    assert sessions(snapshot, "node-1") == []
    assert "# The node-to-node mesh is left out: there is no Secret" in text(snapshot, "node-1")
    assert len(sessions(snapshot, "node-1", {SECRET: "a secret"})) == 2


@pytest.mark.parametrize("password", ['with "quotes"', "two\nlines", "x" * 81])
def test_a_password_that_bird_cannot_have_leaves_out_its_session_and_is_not_shown(password: str):
    snapshot = mesh(2, peer("edge", peerIP="192.0.2.1", asNumber=65000, password=PASSWORD))
    written = text(snapshot, "node-1", {SECRET: password})
    assert "# Global_192_0_2_1 is left out: a BGP password" in written
    assert password not in written


def test_next_hops_are_kept_or_made_one_s_own_as_asked():
    there = {"peerIP": "192.0.2.1", "asNumber": 65000}
    kept = mesh(1, peer("edge", **there, nextHopMode="Keep"))
    old = mesh(1, peer("edge", **there, keepOriginalNextHop=True))
    self_ = mesh(1, peer("edge", **there, nextHopMode="Self"))
    internal = mesh(1, peer("edge", peerIP="192.0.2.1", asNumber=64512, keepOriginalNextHop=True))
    assert "next hop keep;" in session(kept, "node-1", "Global_192_0_2_1")
    assert "next hop keep;" in session(old, "node-1", "Global_192_0_2_1")
    assert "next hop self;" in session(self_, "node-1", "Global_192_0_2_1")
    assert "next hop keep;" not in session(internal, "node-1", "Global_192_0_2_1"), "as Calico: external only"


def test_a_local_as_number_is_what_the_other_node_sees():
    snapshot = cluster(
        node(1),
        node(2),
        configuration(nodeToNodeMeshEnabled=False),
        peer("two", node="node-1", peerIP="192.168.0.12", asNumber=64512, localASNumber=65099),
    )
    assert "local as 65099;" in session(snapshot, "node-1", "Node_192_168_0_12")
    assert session(snapshot, "node-2", "Node_192_168_0_11")[0] == "neighbor 192.168.0.11 as 65099;"


def test_filters_are_asked_in_the_peer_s_order_before_calico_s_own():
    reject = [{"action": "Reject", "cidr": "10.99.0.0/16", "matchOperator": "In"}]
    snapshot = mesh(
        1,
        bgp_filter("a", exportV4=reject),
        bgp_filter("b", exportV4=reject, importV4=reject),
        bgp_filter("unused", exportV4=reject),
        peer("edge", peerIP="192.0.2.1", asNumber=65000, filters=["b", "a", "gone"]),
    )
    lines = session(snapshot, "node-1", "Global_192_0_2_1")
    export = lines[lines.index("export filter {") :]
    assert export[1:4] == [
        "bgp_b_exportFilterV4();",
        "bgp_a_exportFilterV4();",
        "calico_export_to_bgp_peers(false);",
    ]
    assert "bgp_b_importFilterV4();" in lines
    assert "unused" not in text(snapshot, "node-1")


def test_a_filter_that_bird_has_no_words_for_leaves_out_its_session():
    odd = bgp_filter("odd", importV4=[{"action": "Accept"}])
    rule = replace(odd.spec.import_v4[0], operations=({"fly": {}},))
    odd = replace(odd, spec=replace(odd.spec, import_v4=(rule,)))
    snapshot = mesh(2, odd, peer("edge", peerIP="192.0.2.1", asNumber=65000, filters=["odd"]))
    assert sessions(snapshot, "node-1") == ["Mesh_192_168_0_12"]
    assert "# Global_192_0_2_1 is left out: {'fly': {}} is no operation" in text(snapshot, "node-1")


def test_of_a_long_filter_name_bird_gets_the_beginning_and_a_hash():
    names = ["x" * 100 + "a", "x" * 100 + "b"]
    snapshot = mesh(
        1,
        *(bgp_filter(name, importV4=[{"action": "Accept"}]) for name in names),
        peer("edge", peerIP="192.0.2.1", asNumber=65000, filters=names),
    )
    called = set(re.findall(r"(bgp_x+_\w+_importFilterV4)\(\);", text(snapshot, "node-1")))
    assert len(called) == 2 and all(len(name) == 64 for name in called)


def test_only_what_changed_is_computed_again():
    snapshot = mesh(3)
    first = bird_config(snapshot, "node-1", {})
    assert bird_config(replace(snapshot, revision=2), "node-1", {}) is first
    other_block = {cidr: it for cidr, it in snapshot.blocks.items() if it.host != "node-3"}
    assert bird_config(replace(snapshot, blocks=other_block), "node-1", {}) is first
    own_block = {cidr: it for cidr, it in snapshot.blocks.items() if it.host != "node-1"}
    assert bird_config(replace(snapshot, blocks=own_block), "node-1", {}) != first
