"""Clusters on one machine do not know of each other."""

from support.clusters import Cluster, fabric, host_state, left_in, own_folders, pod


def test_one_is_taken_down_and_the_other_loses_no_packet(vxlan, fresh):
    fresh.up()
    target = vxlan.report["pods"][2]["ip"]
    with vxlan.start("pod-1", "ping", "-i", "0.05", "-c", "60", "-W", "1", target) as ping:
        assert fresh.down().returncode == 0
        out, _ = ping.communicate(timeout=180)
    assert " 60 received, 0% packet loss" in out
    assert fresh.leftovers() == []


def test_a_command_without_a_name_asks_which_of_two_clusters_is_meant(vxlan, fresh):
    fresh.up("--no-check")
    asked = fabric("kubeconfig")
    assert asked.returncode == 2
    assert vxlan.name in asked.stderr
    assert fresh.name in asked.stderr


def test_a_cluster_whose_files_are_in_other_folders_is_left_alone_and_the_folders_are_told(vxlan):
    processes = vxlan.status()["processes"]
    with own_folders() as folders:
        for command in (("status", vxlan.name), ("down", vxlan.name), ("up", str(vxlan.file))):
            refused = fabric(*command, environment=folders)
            assert refused.returncode == 2, command
            assert "in other folders: set FABRIC_RUN_DIR=/run/fabric" in refused.stderr
        unnamed = fabric("down", environment=folders)
        assert unnamed.returncode == 1 and vxlan.name in unnamed.stderr
        assert "No cluster" in fabric("down", "--all", environment=folders).stdout
        assert left_in(folders) == []
    assert vxlan.status()["processes"] == processes


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
