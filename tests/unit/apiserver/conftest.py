import pytest_asyncio
from support.registry import new_registry

from fabric.apiserver.local import LocalClient


@pytest_asyncio.fixture
async def registry():
    async with new_registry() as running:
        yield running


@pytest_asyncio.fixture
async def client(registry):
    return LocalClient(registry)
