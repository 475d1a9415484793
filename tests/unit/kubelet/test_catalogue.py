"""Names in manifests become programs of the host, or an error that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabric.errors import FabricError
from fabric.kubelet.catalogue import Catalogue, Image, repository


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("pause", "pause"),
        ("registry.k8s.io/pause:3.9", "pause"),
        ("docker.io/library/busybox:1.36", "busybox"),
        ("busybox@sha256:0123456789abcdef", "busybox"),
        ("localhost:5000/team/echo", "echo"),
        ("nicolaka/netshoot:latest", "netshoot"),
        ("curlimages/curl:8.5.0", "curl"),
        ("registry.k8s.io/e2e-test-images/agnhost:2.47", "echo"),
    ],
)
def test_registry_and_tag_say_nothing(reference: str, name: str):
    assert Catalogue.default().resolve(reference).name == name


def test_a_port_of_a_registry_is_no_tag():
    assert repository("localhost:5000/team/app") == "localhost:5000/team/app"
    assert repository("localhost:5000/team/app:1@sha256:00") == "localhost:5000/team/app"


def test_an_unknown_image_names_those_there_are():
    with pytest.raises(
        FabricError, match=r'image "redis:7": no image of that name .* busybox, .*spec\.images'
    ):
        Catalogue.default().resolve("redis:7")


def test_a_missing_program_names_its_package():
    catalogue = Catalogue([Image("rare", ("no-such-program",), package="rare-tools")])
    with pytest.raises(FabricError, match=r'no program "no-such-program".*apt-get install rare-tools'):
        catalogue.resolve("rare:1")
    (row,) = catalogue.list()
    assert "no-such-program" in row.missing


def test_the_list_says_what_each_image_runs_and_its_other_names():
    rows = {row.image.name: row for row in Catalogue.default().list()}
    assert rows["pause"].image.argv == ("catatonit", "-P")
    assert "agnhost" in rows["echo"].names
    assert rows["echo"].missing == ""


def test_a_cluster_adds_images_and_replaces_built_in_ones(tmp_path: Path):
    catalogue = Catalogue.default(
        [
            Image("my-app", ("/bin/app",), env={"MODE": "demo"}, root=tmp_path),
            Image("echo", ("sh", "-c", "echo mine")),
            Image("agnhost", ("sh",)),
        ]
    )
    app = catalogue.resolve("example.org/my-app:2")
    assert (app.root, app.argv, app.env) == (tmp_path, ("/bin/app",), {"MODE": "demo"})
    assert catalogue.resolve("echo").argv == ("sh", "-c", "echo mine")
    assert catalogue.resolve("agnhost").argv == ("sh",), "a name that was another one's alias"
    assert {row.image.name for row in catalogue.list() if not row.is_builtin} == {"my-app", "echo", "agnhost"}


def test_a_root_that_is_not_there_is_told():
    with pytest.raises(FabricError, match="its root /no/such is not a directory; unpack it there"):
        Catalogue.default([Image("my-app", root=Path("/no/such"))]).resolve("my-app")
