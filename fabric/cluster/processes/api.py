"""The API process: the store, and the API server on it.

Its listeners: a unix socket that speaks in frames, for components; one that speaks HTTP; TLS on the host's
loopback for kubectl; and TLS on the control plane's address inside the fabric for pods. The store has a
socket of its own for plugins.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket

from fabric.apiserver.admission import runtime_class, service_account
from fabric.apiserver.certificates import Pki
from fabric.apiserver.kubeconfig import kubeconfig
from fabric.apiserver.registry import Registry
from fabric.apiserver.server import ApiServer, ServerConfig
from fabric.cluster import spec as specs
from fabric.cluster.paths import FABRIC_PORT, ClusterPaths
from fabric.cluster.processes import event_loop
from fabric.cluster.runtimes import NamespaceRuntime
from fabric.cluster.validation import served_kinds
from fabric.control.clock import LoopClock
from fabric.kernel.namespaces import inside
from fabric.plugin import registry as plugins
from fabric.store.server import StoreServer
from fabric.store.sqlite import SqliteStore
from fabric.topology.underlay import CONTROL_PLANE

RETRY_SECONDS = 1.0
"""A control plane that ended while its namespace was entered is looked at again after so long."""

_log = logging.getLogger(__name__)


def run(paths: ClusterPaths) -> None:
    event_loop.run(_run(paths))


async def _run(paths: ClusterPaths) -> None:
    spec = specs.current(paths)
    address = spec.underlay.control_plane_address.ip
    pki = Pki.load_or_create(paths.pki, (), (str(address),))
    clock = LoopClock()
    store = await SqliteStore.open(paths.store)
    registry = Registry(
        store,
        served_kinds(spec),
        clock,
        (service_account, runtime_class),
        plugins.idle_kinds(spec.network.plugin),
    )
    await registry.start()
    host = ServerConfig(
        socket_path=paths.api_socket,
        components_path=paths.components_socket,
        tls=[("127.0.0.1", spec.api_port)],
        pki=pki,
        clock=clock,
    )
    server = ApiServer(registry, host)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(StoreServer(store, paths.store_socket).run(), name="store server")
        tasks.create_task(registry.run(), name="registry")
        tasks.create_task(server.run(), name="API server")
        tasks.create_task(_serve_inside(paths, registry, pki), name="API server in the fabric")
        await server.started()
        _write_kubeconfig(paths, kubeconfig(spec.name, f"https://127.0.0.1:{spec.api_port}", pki))


async def _serve_inside(paths: ClusterPaths, registry: Registry, pki: Pki) -> None:
    """Listen in the control plane's namespace, and again whenever that host was started anew."""
    runtime = NamespaceRuntime(paths.runtime_socket(0))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(runtime.run())
        tasks.create_task(runtime.follow())
        while True:
            await runtime.powered_on(CONTROL_PLANE)
            try:
                config = ServerConfig(tls=[_socket_inside(runtime.pids[CONTROL_PLANE])], pki=pki)
            except OSError as error:
                _log.info("cannot listen in the control plane: %s (again in %.0f s)", error, RETRY_SECONDS)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            serving = tasks.create_task(ApiServer(registry, config).run())
            await runtime.powered_on_again(CONTROL_PLANE)
            serving.cancel()


def _socket_inside(pid: int) -> socket.socket:
    with inside(pid):
        return socket.create_server(("", FABRIC_PORT))


def _write_kubeconfig(paths: ClusterPaths, text: str) -> None:
    fresh = paths.kubeconfig.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(paths.kubeconfig)
