"""Clusters on one machine do not know of each other."""

from support.clusters import Cluster, fabric, host_state, pod


def test_one_is_taken_down_and_the_other_loses_no_packet(vxlan, fresh):
    fresh.up()
    target = vxlan.report["pods"][2]["ip"]
    with vxlan.start("pod-1", "ping", "-i", "0.05", "-c", "60", "-W", "1", target) as ping:
        assert fresh.down().returncode == 0
        out, _ = ping.communicate(timeout=60)
    assert " 60 received, 0% packet loss" in out
    assert fresh.leftovers() == []


def test_a_command_without_a_name_asks_which_of_two_clusters_is_meant(vxlan, fresh):
    fresh.up("--no-check")
    asked = fabric("kubeconfig")
    assert asked.returncode == 2
    assert vxlan.name in asked.stderr
    assert fresh.name in asked.stderr


def test_up_and_down_leave_the_hosts_network_as_it_was(tmp_path):
    before = host_state()
    cluster = Cluster(tmp_path, pods=[pod("pod-1"), pod("pod-2")])
    try:
        cluster.up()
        assert host_state() == before
    finally:
        cluster.close()
    assert host_state() == before
    assert cluster.leftovers() == []
