"""Images of a topology, inline or in a file that it names: read where right, told at their line if not."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabric.errors import BadInput
from fabric.topology.load import load
from fabric.topology.model import ImageEntry, Topology

HEAD = "apiVersion: fabric.dev/v1\nkind: Topology\nmetadata: {name: t}\nspec:\n  nodes: 1\n"
HEAD += "  network: {plugin: flannel}\n"
LINES = HEAD.count("\n")


def loaded(folder: Path, images: str) -> Topology:
    path = folder / "t.yaml"
    path.write_text(HEAD + images)
    return load(path)


def refused(folder: Path, images: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        loaded(folder, images)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_an_image_is_read_with_its_root_from_where_the_file_is(tmp_path: Path):
    (image,) = loaded(
        tmp_path,
        "  images:\n    team/app: {root: rootfs, command: [/bin/app], args: [-v], env: {A: b}, cwd: /srv,"
        " ports: [80]}\n",
    ).images
    assert image == ImageEntry(
        "team/app", ("/bin/app",), ("-v",), {"A": "b"}, "/srv", tmp_path / "rootfs", (80,)
    )


def test_topologies_share_a_file_of_images_whose_roots_count_from_there(tmp_path: Path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/images.yaml").write_text("images:\n  app: {root: app}\n")
    (image,) = loaded(tmp_path, "  images: shared/images.yaml\n").images
    assert image.root == tmp_path / "shared/app"


def test_no_images_are_none(tmp_path: Path):
    assert loaded(tmp_path, "").images == ()


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("{comand: [sh]}", "spec.images.a has no key 'comand'; did you mean 'command'?"),
        ("{command: sh}", 'spec.images.a.command is "sh"; allowed: a list'),
        ("{command: [1]}", "spec.images.a.command[0] is 1; allowed: text"),
        ("{command: [sh], ports: [0]}", "spec.images.a.ports[0] is 0; allowed: a whole number, 1 to 65535"),
        ("{command: [sh], env: {PORT: 80}}", "spec.images.a.env.PORT is 80; allowed: text"),
        ("{command: [sh], env: {'A=B': c}}", 'spec.images.a.env.A=B: "A=B" is no name of a variable'),
        ("{command: [sh], cwd: here}", 'spec.images.a.cwd is "here"; allowed: text, an absolute path'),
        ('{command: ["a\\0b"]}', "spec.images.a: has a NUL"),
        ("{args: [x]}", "spec.images.a: needs a command, or a root to run in"),
        ("[sh]", 'spec.images.a is ["sh"]; allowed: a mapping'),
        ("", "spec.images.a is null; allowed: a mapping"),
    ],
)
def test_what_is_wrong_with_an_image_is_told_at_its_line(tmp_path: Path, body: str, what: str):
    (told,) = refused(tmp_path, f"  images:\n    a: {body}\n")
    assert told.startswith(f"t.yaml:{LINES + 2}: {what}")


@pytest.mark.parametrize("name", ["redis:7", "Redis", "a//b", "a b", "registry.example:5000/a"])
def test_a_name_that_no_look_up_would_find_is_refused(tmp_path: Path, name: str):
    (told,) = refused(tmp_path, f"  images:\n    '{name}': {{command: [sh]}}\n")
    assert "is no image's name" in told


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("images:\n  a: {comand: [x]}\n", "i.yaml:2: images.a has no key 'comand'"),
        ("images:\n  a: {}\n", "i.yaml:2: images.a: needs a command"),
        ("imgs: {}\n", "i.yaml:1: the file has no key 'imgs'"),
        ("[1]\n", "i.yaml:1: the file is [1]"),
        ("", "i.yaml:1: a file of images is one YAML document with the key images"),
        ("a: [", "i.yaml:2: not valid YAML"),
    ],
)
def test_a_broken_file_of_images_is_told_at_its_own_line(tmp_path: Path, text: str, what: str):
    (tmp_path / "i.yaml").write_text(text)
    assert refused(tmp_path, "  images: i.yaml\n")[0].startswith(what)


@pytest.mark.parametrize("name", ["none.yaml", ".", '"a\\0b"'])
def test_a_file_of_images_that_cannot_be_read_is_told_where_it_is_named(tmp_path: Path, name: str):
    (told,) = refused(tmp_path, f"  images: {name}\n")
    assert told.startswith(f"t.yaml:{LINES + 1}: spec.images: ")
