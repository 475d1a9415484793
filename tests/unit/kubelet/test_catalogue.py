"""Names in manifests become programs of the host, or an error that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabric.errors import BadInput, FabricError
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
        FabricError, match=r'image "redis:7": no image of that name .* busybox, .*images\.yaml'
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


def test_users_add_images_and_replace_ours(tmp_path: Path):
    root = tmp_path / "rootfs"
    root.mkdir()
    (tmp_path / "images.yaml").write_text(
        "images:\n  my-app:\n    root: rootfs\n    command: [/bin/app]\n    env: {MODE: demo}\n"
        "  echo:\n    command: [sh, -c, 'echo mine']\n"
    )
    catalogue = Catalogue.default([tmp_path])
    app = catalogue.resolve("example.org/my-app:2")
    assert (app.root, app.argv, app.env) == (root, ("/bin/app",), {"MODE": "demo"})
    assert catalogue.resolve("echo").argv == ("sh", "-c", "echo mine")


def test_a_broken_file_names_each_line(tmp_path: Path):
    path = tmp_path / "images.yaml"
    path.write_text("images:\n  a:\n    comand: [x]\n  b:\n    command: [1]\n    ports: [0]\n")
    with pytest.raises(BadInput) as caught:
        Catalogue.default([path])
    assert [str(problem) for problem in caught.value.problems] == [
        f"{path}:2: image a: comand is not known; allowed are command, args, env, cwd, root, ports",
        f"{path}:2: image a: needs a command, or a root to run in",
        f"{path}:4: image b: command must be a list of strings",
        f"{path}:4: image b: ports must be a list of numbers from 1 to 65535",
    ]


def test_what_is_not_yaml_names_the_line(tmp_path: Path):
    path = tmp_path / "images.yaml"
    path.write_text("images:\n  a: [\n")
    with pytest.raises(BadInput, match=r"images\.yaml:3: is not YAML"):
        Catalogue.default([path])
