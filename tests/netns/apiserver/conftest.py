"""A server and a kubectl for each test; nothing here leaves loopback."""

import pytest
from support.api_server import api_server
from support.kubectl import Kubectl, kubectl_1_20
from support.raw_http import raw_http


@pytest.fixture
async def running(tmp_path):
    async with api_server(tmp_path) as served:
        yield served


@pytest.fixture
def kubectl(running, tmp_path):
    return Kubectl(kubectl_1_20(), tmp_path / "home", running.kubeconfig)


@pytest.fixture
async def http(running):
    async with raw_http(running.socket_path) as http:
        yield http
