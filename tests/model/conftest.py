"""The model lane: virtual time, any order of events, crashes and broken watches."""

from support.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories(config, item):
    return {"virtual": VirtualTimeLoop}
