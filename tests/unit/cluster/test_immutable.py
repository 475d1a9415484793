"""A running cluster's addresses cannot be moved: the file is refused by line, before anything is touched."""

from pathlib import Path

import pytest

from fabric.cluster import bring_up
from fabric.cluster import spec as specs
from fabric.errors import BadInput
from fabric.topology.load import loads

TEXT = """\
apiVersion: fabric.dev/v1
kind: Topology
metadata: {name: t}
spec:
  nodes: 2
  podCIDR: 10.244.0.0/16
  network:
    plugin: flannel
    backend: vxlan
"""


def topology(text: str):
    return loads(text, Path("t.yaml"))


@pytest.fixture
def running(tmp_path, monkeypatch):
    """A spec on disk, as if the cluster had been started; nothing may be launched."""
    monkeypatch.setenv("FABRIC_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("FABRIC_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(bring_up, "launch", lambda *_: pytest.fail("launched"))
    places = bring_up.Places("t")
    places.make()
    specs.write(places.spec, specs.choose(topology(TEXT), None, api_port=1, workers=1))
    return places


@pytest.mark.parametrize(
    ("old", "new", "line", "path"),
    [
        ("10.244.0.0/16", "10.245.0.0/16", 6, "podCIDR"),
        ("vxlan", "host-gw", 9, "network.backend"),
        ("    backend: vxlan\n", "    backend: vxlan\n    mtu: 1400\n", 10, "network.mtu"),
        ("    backend: vxlan\n", "    backend: vxlan\n    options: {VNI: 5}\n", 10, "network.options"),
    ],
)
def test_what_cannot_change_is_refused_by_line(running, old, new, line, path):
    before = running.spec.read_bytes()
    with pytest.raises(BadInput, match=rf"t\.yaml:{line}: spec\.{path} is .*fabric down t"):
        bring_up.begin(topology(TEXT.replace(old, new)))
    assert running.spec.read_bytes() == before
