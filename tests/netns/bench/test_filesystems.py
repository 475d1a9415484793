"""The file systems of a cluster's folders are told as they are, and one that is slow, with what to do."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clusters import TOP, own_folders
from support.small_disk import SmallDisk, small_disk

LOOK = "import json; from fabric.bench import filesystems as f; found = f.of_clusters()\n" + (
    "print(json.dumps([f.slow(found), *(it.as_json() for it in found.values())]))"
)


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    """A tmpfs with room for images, in a mount namespace with `run` and `state` to mount on."""
    with own_folders() as folders:
        top = Path(folders["FABRIC_RUN_DIR"]).parent
        with small_disk(top, "64m", folders) as made:
            ran(made, f"mkdir {top}/run {top}/state")
            yield made


def ran(disk: SmallDisk, script: str) -> str:
    done = disk.run("sh", "-ec", script, cwd=TOP)
    assert done.returncode == 0, done.stderr
    return done.stdout


def mounted(disk: SmallDisk, name: str, features: str = "", options: str = "loop") -> None:
    """Mount a new ext4 on one of the folders."""
    if not (shutil.which("mkfs.ext4") and Path("/dev/loop-control").exists()):
        pytest.skip("no mkfs.ext4, or no loop devices")
    image = f"{disk.folder}/{name}.img"
    ran(disk, f"truncate -s 16M {image}; mkfs.ext4 -q {features} {image}")
    done = disk.run("mount", "-o", options, image, f"{disk.folder}/{name}")
    if done.returncode:
        pytest.skip(f"no loop mounts here: {done.stderr}")


def looked(disk: SmallDisk) -> tuple[str, dict[str, object], dict[str, object]]:
    """Return the warning, and the file systems of the run and of the state folder."""
    done = disk.run(sys.executable, "-P", "-c", LOOK, cwd=TOP)
    assert done.returncode == 0, done.stderr
    warning, run, state = json.loads(done.stdout)
    return warning, run, state


def test_an_ext4_without_a_journal_is_told_with_the_remedy_and_one_with_a_journal_is_not(disk):
    mounted(disk, "run", "-O ^has_journal")
    mounted(disk, "state")
    warning, run, state = looked(disk)
    assert (run["type"], run["without_journal"]) == ("ext4", True)
    assert (state["type"], state["without_journal"]) == ("ext4", False)
    assert str(run["source"]).startswith("/dev/loop") and run["source"] != state["source"]
    assert warning.startswith(f"{disk.folder}/run is on an ext4 without a journal")
    assert "set FABRIC_RUN_DIR and FABRIC_STATE_DIR to folders of a tmpfs" in warning


def test_a_journal_that_is_not_used_is_as_none(disk):
    for name in ("run", "state"):
        mounted(disk, name, options="loop,ro,noload")
    warning, run, state = looked(disk)
    assert run["without_journal"] and state["without_journal"]
    assert warning.startswith(f"{disk.folder}/run and {disk.folder}/state are on an ext4 without a journal")


def test_a_folder_that_is_not_there_yet_is_on_the_file_system_of_the_one_above_it(disk):
    ran(disk, f"rmdir {disk.folder}/run {disk.folder}/state")
    warning, run, _ = looked(disk)
    assert (warning, run["type"], run["mount_point"]) == ("", "tmpfs", str(disk.folder))
    assert run["folder"] == f"{disk.folder}/run"


def test_the_mount_on_top_of_others_is_the_one_that_counts_whatever_its_name(disk):
    odd = f"{disk.folder}/run/with\\040 a space"
    ran(disk, f'mount -t tmpfs under {disk.folder}/run; mkdir "{odd}"; mount -t tmpfs "a b" "{odd}"')
    ran(disk, f'mount -t ramfs over {disk.folder}/state; ln -s "{odd}" {disk.folder}/state/link')
    disk.environment = {**disk.environment, "FABRIC_RUN_DIR": f"{disk.folder}/state/link/runs"}
    _, run, state = looked(disk)
    assert (run["source"], run["mount_point"]) == ("a b", odd)
    assert (state["type"], state["source"]) == ("ramfs", "over")
