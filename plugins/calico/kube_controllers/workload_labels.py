"""The labels of a pod follow in its WorkloadEndpoint, which the CNI plugin wrote when the pod was new."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace

from calico import workloads
from calico.resources import datastore
from calico.resources.endpoints import WorkloadEndpoint, endpoint_name, endpoint_parts
from calico.resources.table import parse_key
from calico.workloads import labels_of_pod
from fabric.api.kinds import POD
from fabric.api.objects import Key, Object
from fabric.control.controller import Controller
from fabric.control.informer import Informer
from fabric.control.informers import Informers
from fabric.errors import NotFound
from fabric.plugin.reflector import Reflector
from fabric.store.port import Store


class WorkloadLabels:
    """The controller that keeps endpoints' labels as their pods'."""

    def __init__(self, informers: Informers) -> None:
        self._pods: Informer = informers.of(POD)
        self._controller: Controller[Key] = Controller("labels of endpoints", self._reconcile)

    async def run(self, store: Store, reflector: Reflector) -> None:
        """Follow pods and endpoints for ever."""
        self._store = store
        self._pods.on_change(self._on_pod)
        await self._pods.synced()
        reflector.follow(self, self._on_keys)
        try:
            await self._controller.run()
        finally:
            reflector.leave(self)

    def _on_pod(self, key: Key, old: Object | None, new: Object | None) -> None:
        if old is not None and new is not None and labels_of_pod(old) != labels_of_pod(new):
            self._controller.queue.add(key)

    def _on_keys(self, keys: Collection[str]) -> None:
        for text in keys:
            found = parse_key(text) if text.startswith(workloads.ROOT) else None
            if found is not None:
                with suppress(ValueError):
                    self._controller.queue.add(Key(found[1].namespace, endpoint_parts(found[1].name)[2]))

    async def _reconcile(self, key: Key) -> None:
        pod = self._pods.get(key)
        node = (pod or {}).get("spec", {}).get("nodeName")
        if pod is None or not node:
            return
        name = endpoint_name(node, key.name)
        with suppress(NotFound, datastore.Unreadable):
            found = await datastore.get(self._store, WorkloadEndpoint, name, key.namespace)
            if found is not None and found.labels != (labels := labels_of_pod(pod)):
                metadata = replace(found.metadata, labels=labels)
                await datastore.update(self._store, replace(found, metadata=metadata))
