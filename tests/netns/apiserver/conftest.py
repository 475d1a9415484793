"""A server and a kubectl for each test; nothing here leaves loopback."""

import pytest
import uvloop
from support.api_server import api_server
from support.kubectl import SUITES, Kubectl, kubectl_of
from support.raw_http import raw_http


def pytest_asyncio_loop_factories(config, item):
    """The event loop that a cluster's processes run on: its transports are not asyncio's."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def running(tmp_path):
    async with api_server(tmp_path) as served:
        yield served


@pytest.fixture(params=["1.20", "1.32", "1.36"])
def kubectl(request, running, tmp_path):
    """The client of each of three Debian suites; tests that differ by client ask for its `version`."""
    return Kubectl(kubectl_of(SUITES[request.param]), tmp_path / "home", running.kubeconfig, request.param)


@pytest.fixture
async def http(running):
    async with raw_http(running.socket_path) as http:
        yield http
