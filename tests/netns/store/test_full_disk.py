"""A full disk: writes are refused and say why, reads live on, nothing that was acknowledged is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import api_process
from support.raw_http import RawHttp, raw_http
from support.small_disk import SmallDisk, small_disk

TOP = Path(__file__).parents[3]
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
FULL = "no write can be kept, as the disk is full: free some of it"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", "1m") as made:
        yield made


@contextmanager
def server(disk: SmallDisk, socket: Path) -> Iterator[subprocess.Popen[str]]:
    """A server whose store is on the disk; it is killed at the end of the block."""
    command = [*disk.enter, sys.executable, "-P", api_process.__file__]
    places = [str(disk.folder / "store.db"), str(socket)]
    with subprocess.Popen([*command, *places], stdout=-1, text=True, cwd=TOP) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
            yield process
        finally:
            process.kill()


async def create(http: RawHttp, name: str) -> tuple[int, dict]:
    answer = await http.json("POST", CONFIG_MAPS, {"metadata": {"name": name}, "data": {"x": "x" * 20_000}})
    return answer.get("code", 201), answer


async def fill(http: RawHttp) -> list[str]:
    """Names of the objects that fitted; the one after them was refused, and said why."""
    made: list[str] = []
    while True:
        code, answer = await create(http, f"map-{len(made)}")
        if code != 201:
            break
        made.append(answer["metadata"]["name"])
    assert (answer["kind"], answer["status"], answer["reason"]) == ("Status", "Failure", "InternalError")
    assert code == 500 and FULL in answer["message"]
    return made


async def names(http: RawHttp) -> list[str]:
    return sorted(item["metadata"]["name"] for item in (await http.json("GET", CONFIG_MAPS))["items"])


async def test_writes_are_refused_reads_live_and_room_makes_it_well(disk: SmallDisk, tmp_path: Path) -> None:
    socket = tmp_path / "api.sock"
    with server(disk, socket) as process:
        async with raw_http(socket) as http:
            made = await fill(http)
            assert len(made) > 3
            disk.fill()
            small = {"metadata": {"name": "small"}}
            for method, path, body in (
                ("POST", CONFIG_MAPS, small),
                ("PATCH", f"{CONFIG_MAPS}/{made[0]}", {"data": {"y": "z"}}),
                ("DELETE", f"{CONFIG_MAPS}/{made[0]}", None),
                ("POST", "/api/v1/namespaces/default/events", event()),
            ):
                refused = await http.json(method, path, body, Content_Type="application/merge-patch+json")
                assert refused["code"] == 500 and FULL in refused["message"], (method, path)
            assert await names(http) == sorted(made)
            assert (await http("GET", "/readyz"))[0] == 200
            disk.free()
            assert disk.run("mount", "-o", "remount,size=4m", str(disk.folder)).returncode == 0
            assert (await create(http, "later"))[0] == 201
            assert await names(http) == sorted([*made, "later"])
        assert process.poll() is None


def event() -> dict:
    return {
        "metadata": {"name": "event-1"},
        "involvedObject": {"kind": "ConfigMap", "name": "map-0", "namespace": "default"},
    }


async def test_a_server_that_is_killed_on_a_full_disk_serves_what_it_acknowledged(
    disk: SmallDisk, tmp_path: Path
) -> None:
    socket = tmp_path / "api.sock"
    with server(disk, socket):
        async with raw_http(socket) as http:
            made = await fill(http)
            disk.fill()
    with server(disk, socket):
        async with raw_http(socket) as http:
            assert await names(http) == sorted(made)
            refused = await http.json("DELETE", f"{CONFIG_MAPS}/{made[0]}")
            assert refused["code"] == 500 and FULL in refused["message"]


def test_a_store_that_cannot_be_made_on_a_full_disk_says_so(disk: SmallDisk, tmp_path: Path) -> None:
    disk.fill()
    made = disk.run(
        sys.executable, "-P", api_process.__file__, str(disk.folder / "store.db"), str(tmp_path / "api.sock")
    )
    assert f"fabric.errors.OutOfResources: store {disk.folder}/store.db: {FULL}" in made.stderr
