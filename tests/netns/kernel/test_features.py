import os
import subprocess
import sys
from pathlib import Path

import pytest

from fabric.kernel.features import probe

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]


def test_every_feature_is_present_or_has_a_remedy():
    features = probe()
    assert {
        "netns",
        "veth",
        "bridge",
        "vxlan",
        "tun",
        "ipip",
        "netem",
        "iptables",
        "ipset",
        "cgroup2",
    } <= set(features)
    for name, feature in features.items():
        assert feature.name == name and feature.detail
        assert bool(feature.remedy) != feature.present


def test_what_the_other_tests_use_is_found():
    features = probe()
    for name in ("netns", "veth", "bridge", "vxlan", "iptables", "ip6tables", "ipset"):
        assert features[name].present, features[name]


def test_probing_leaves_nothing_behind():
    def seen() -> tuple[str, set[str]]:
        links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
        groups = {str(path) for path in Path("/sys/fs/cgroup").rglob("fabric-trial-*")}
        return links, groups

    before = seen()
    probe()
    assert seen() == before


def test_an_iptables_flavour_that_is_not_there_is_a_missing_feature(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FABRIC_IPTABLES", "ebpf")
    assert not probe()["iptables"].present


def test_a_plain_user_is_told_what_he_lacks():
    become = "os.setgroups([]); os.setgid(65534); os.setuid(65534)"
    code = f"import os; from fabric.kernel.features import probe; {become}; print(probe(['cgroup2']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "present=False" in done.stdout


def test_only_what_is_asked_for_is_tried():
    assert set(probe({"vxlan", "iptables", "no-such-feature"})) == {"vxlan", "iptables"}


def test_what_up_asks_for_waits_for_no_import_of_pyroute2():
    code = (
        "import sys; sys.modules['pyroute2'] = None\n"
        "from fabric.kernel.features import probe\n"
        "found = probe({'veth', 'bridge', 'vxlan', 'tun', 'tbf', 'iptables', 'ipset'})\n"
        "probe({'ipip', 'netem'})\n"
        "print(all(f.present for f in found.values()), len(found))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "True 7", done.stderr
