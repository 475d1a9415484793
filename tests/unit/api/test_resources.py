"""What a pod asks of its node: its containers together, or what it says as a whole."""

import pytest

from fabric.api.resources import requests_of


def asking(**requests):
    return {"resources": {"requests": requests}}


@pytest.mark.parametrize(
    ("spec", "asked"),
    [
        ({}, {}),
        ({"containers": [asking(cpu="1"), asking(cpu="500m", memory="1Ki")]}, {"cpu": 1500, "memory": 1024}),
        ({"containers": [asking(cpu="1")], "initContainers": [asking(cpu="3")]}, {"cpu": 3000}),
        (
            {
                "containers": [asking(cpu="1")],
                "initContainers": [{**asking(cpu="1"), "restartPolicy": "Always"}, asking(cpu="500m")],
            },
            {"cpu": 2000},
        ),
        ({"containers": [asking(cpu="1", memory="1")], **asking(cpu="2")}, {"cpu": 2000, "memory": 1}),
        ({"containers": [asking(cpu="1")], **asking(cpu="2"), "overhead": {"cpu": "1m"}}, {"cpu": 2001}),
    ],
    ids=["nothing", "containers", "start", "sidecar", "pod", "overhead"],
)
def test_the_requests_of_a_pod(spec, asked):
    assert requests_of(spec) == asked
