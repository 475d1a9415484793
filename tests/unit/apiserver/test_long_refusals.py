"""Refusals of objects with very many faults, or with long ones: answers stay short."""

import orjson
import pytest
from support.registry import config_map, pod

from fabric.api.kinds import CONFIG_MAP, POD
from fabric.apiserver import status
from fabric.apiserver.options import WriteOptions
from fabric.errors import BadRequest, Invalid


async def test_of_very_many_faults_the_first_are_told_and_how_many_more_there_are(registry):
    wrong = pod()
    wrong["spec"]["containers"] = [{"name": "main", "image": "a"} for _ in range(2001)]
    with pytest.raises(Invalid) as caught:
        await registry.create(POD, "default", wrong, WriteOptions())
    assert len(caught.value.details["causes"]) == 100
    assert caught.value.message.endswith(", and 1900 more]")


async def test_long_faults_are_told_in_part_and_an_answer_stays_short(registry):
    wrong = config_map(**{f"{i:04} {'x' * 5000}": "a" for i in range(50)})
    with pytest.raises(Invalid) as caught:
        await registry.create(CONFIG_MAP, "default", wrong, WriteOptions())
    assert len(orjson.dumps(status.failure(caught.value))) < 200_000
    wrong = config_map(**{"x" * 1_000_000: "a"})
    with pytest.raises(Invalid) as caught:
        await registry.create(CONFIG_MAP, "default", wrong, WriteOptions())
    assert len(orjson.dumps(status.failure(caught.value))) < 200_000
    assert caught.value.details["causes"][0]["field"].endswith("x…")


async def test_a_refusal_never_repeats_a_long_body(registry):
    with pytest.raises(BadRequest) as caught:
        await registry.create(CONFIG_MAP, "default", config_map() | {"kind": "x" * 1_000_000}, WriteOptions())
    assert len(status.failure(caught.value)["message"]) < 100_000
