"""The unit lane: virtual time, no root, no kernel."""

from support.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories(config, item):
    return {"virtual": VirtualTimeLoop}
