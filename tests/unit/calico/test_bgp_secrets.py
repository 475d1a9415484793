"""Passwords of BGP sessions: read when they are wanted, followed while they are, said when missing."""

import asyncio
import base64
import logging

import pytest
from support.memory_api import MemoryApi
from support.owned_task import running

from calico.bgp.peers import SecretRef
from calico.bgp.secrets import Secrets
from fabric.api.kinds import SECRET
from fabric.api.objects import Key

RACK_1, RACK_2 = SecretRef("bgp-secrets", "rack-1"), SecretRef("bgp-secrets", "rack-2")


class World:
    """An API with Secrets, and how often a change was told."""

    def __init__(self) -> None:
        self.api = MemoryApi()
        self.changes = 0
        self.secrets = Secrets(self.api, self._on_change)

    def _on_change(self) -> None:
        self.changes += 1

    def put(self, name: str = "bgp-secrets", namespace: str = "kube-system", **passwords: str) -> None:
        data = {
            key.replace("_", "-"): base64.b64encode(it.encode()).decode() for key, it in passwords.items()
        }
        self.api.put(SECRET, {"metadata": {"name": name, "namespace": namespace}, "data": data})


@pytest.fixture
def world() -> World:
    return World()


async def test_a_password_is_known_soon_after_it_is_wanted(world: World):
    world.put(rack_1="one", rack_2="two")
    async with running(world.secrets.run()):
        world.secrets.want(frozenset({RACK_1}))
        await asyncio.sleep(1)
        assert world.secrets.known == {RACK_1: "one"} and world.changes == 1
        world.secrets.want(frozenset({RACK_1, RACK_2}))
        await asyncio.sleep(1)
        assert world.secrets.known == {RACK_1: "one", RACK_2: "two"}


async def test_a_password_that_changes_or_comes_later_is_told(world: World):
    async with running(world.secrets.run()):
        world.secrets.want(frozenset({RACK_1}))
        await asyncio.sleep(1)
        assert world.secrets.known == {} and world.changes == 0
        world.put(rack_1="one")
        await asyncio.sleep(1)
        world.put(rack_1="another")
        await asyncio.sleep(1)
        assert world.secrets.known == {RACK_1: "another"} and world.changes == 2
        world.api.remove(SECRET, Key("kube-system", "bgp-secrets"))
        await asyncio.sleep(1)
        assert world.secrets.known == {} and world.changes == 3


async def test_what_is_missing_is_said_once(world: World, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    world.put("elsewhere", "default", rack_1="one")
    async with running(world.secrets.run()):
        world.secrets.want(frozenset({RACK_1, SecretRef("", "")}))
        await asyncio.sleep(5)
        world.secrets.want(frozenset({RACK_1, RACK_2, SecretRef("", "")}))
        await asyncio.sleep(5)
    assert [record.getMessage() for record in caplog.records] == [
        "BGP sessions wait for a password: no Secret kube-system/bgp-secrets with a key rack-1",
        "BGP sessions wait for a password: no Secret kube-system/bgp-secrets with a key rack-2",
    ]


async def test_what_is_no_longer_wanted_is_forgotten_and_not_followed(world: World):
    world.put(rack_1="one")
    async with running(world.secrets.run()):
        world.secrets.want(frozenset({RACK_1}))
        await asyncio.sleep(1)
        world.secrets.want(frozenset())
        await asyncio.sleep(1)
        assert world.secrets.known == {}
        world.api.calls.clear()
        world.api.break_watches()
        await asyncio.sleep(30)
        assert world.api.calls == []


@pytest.mark.parametrize("data", [{}, {"rack-1": "*"}, {"rack-1": 7}, {"rack-1": "/w=="}])
async def test_what_is_no_text_is_missing(world: World, data: dict[str, object]):
    world.api.put(SECRET, {"metadata": {"name": "bgp-secrets", "namespace": "kube-system"}, "data": data})
    async with running(world.secrets.run()):
        world.secrets.want(frozenset({RACK_1}))
        await asyncio.sleep(1)
        assert world.secrets.known == {}
