import os
import socket
import subprocess
from pathlib import Path

from fabric.verify import health
from fabric.verify.bgp import NO_ANSWER, Session

SAVED = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:cali-FORWARD - [0:0]
:FLANNEL-FWD - [0:0]
:USERS - [0:0]
-A FORWARD -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-FORWARD
-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
-A FORWARD -j FLANNEL-FWD
-A cali-FORWARD -i cali+ -m comment --comment "cali:8ZoYfO5HKXWbB3pk" -j ACCEPT
-A FLANNEL-FWD -s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
-A USERS -j DROP
{}COMMIT
"""


def test_rules_of_the_network_are_nobody_elses():
    assert health.strange_rules(SAVED.format("")) == []


def test_a_rule_in_a_chain_of_ours_or_in_a_built_in_one_is_strange():
    strange = [
        "-A FORWARD -d 10.244.1.0/24 -j DROP",
        "-A cali-FORWARD -s 10.244.1.2/32 -j DROP",
        '-A FLANNEL-FWD -m comment --comment "mine" -j ACCEPT',
        "-A INPUT -j USERS",
        "-A OUTPUT -p tcp",
    ]
    assert health.strange_rules(SAVED.format("\n".join(strange) + "\n")) == strange


def test_sessions_that_are_down_are_told_with_their_reason():
    ends = [
        Session("node-1", "Mesh_1", "node-2", state="Established"),
        Session("node-1", "Mesh_2", "", "192.0.2.1", state="Active", reason="Connection refused"),
        Session("node-3", "", state=NO_ANSWER, reason="bird does not run"),
    ]
    assert health.down_sessions(ends) == [
        "BGP session of node-1 to 192.0.2.1 is Active: Connection refused",
        "BGP on node-3: bird does not run",
    ]


def test_a_session_is_one_line_and_says_what_each_end_says():
    ends = [
        Session("spine-1", "leaf1", "leaf-1", state="Active", reason="Neighbor lost"),
        Session("leaf-1", "spine1", "spine-1", state="Connect", reason="Link down"),
        Session("leaf-1", "spine2", "spine-2", state="Established"),
        Session("spine-2", "leaf1", "leaf-1", state="Active"),
    ]
    assert health.down_sessions(ends) == [
        "BGP session of leaf-1 to spine-1 is Connect: Link down; at spine-1 Active: Neighbor lost",
        "BGP session of spine-2 to leaf-1 is Active",
    ]


def inodes() -> set[str]:
    return set(health.listening(Path("/proc/self/net/tcp").read_text()))


def test_a_listening_socket_is_found_by_its_inode_while_it_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        listens = str(os.fstat(server.fileno()).st_ino)
        assert listens in inodes()
        assert health.deaf({"node-1": os.getpid()}) == []
        with socket.create_connection(server.getsockname()) as connected:
            assert str(os.fstat(connected.fileno()).st_ino) not in inodes()
    assert listens not in inodes()


def test_a_process_without_a_listening_socket_is_told():
    with subprocess.Popen(["sleep", "100"]) as sleeper:
        try:
            told = ["BGP on node-1: BIRD does not listen, so no peer can connect to it"]
            assert health.deaf({"node-1": sleeper.pid}) == told
        finally:
            sleeper.kill()


def test_a_rule_of_routing_that_is_not_the_kernels_is_strange():
    own = "0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n"
    assert health.strange_routing_rules(own) == []
    strange = "100:\tfrom all to 10.244.0.0/16 blackhole\n"
    assert health.strange_routing_rules(own + strange) == ["ip rule 100: from all to 10.244.0.0/16 blackhole"]
