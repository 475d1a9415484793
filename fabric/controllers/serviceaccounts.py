"""The service account controller keeps an account `default` in every active namespace."""

from __future__ import annotations

from fabric.api.kinds import NAMESPACE, SERVICE_ACCOUNT
from fabric.api.objects import Key, Object, is_deleting
from fabric.control.client import Client
from fabric.control.controller import Controller
from fabric.control.events import Events
from fabric.control.informers import Informers
from fabric.controllers import parked
from fabric.errors import AlreadyExists, Forbidden, NotFound

NAME = "default"


class ServiceAccountController:
    """A controller of default service accounts, keyed by the namespace's name."""

    def __init__(self, client: Client, informers: Informers, recorder: Events) -> None:
        self._client = client
        self._namespaces = informers.of(NAMESPACE)
        self._accounts = informers.of(SERVICE_ACCOUNT)
        self._controller: Controller[str] = Controller(
            "serviceaccounts", self.reconcile, workers=4, on_park=parked.tell(recorder, self._namespaces)
        )
        self._namespaces.on_change(lambda key, old, new: self._controller.queue.add(key.name))
        self._accounts.on_change(self._note)

    async def run(self) -> None:
        await self._controller.run()

    async def reconcile(self, namespace: str) -> None:
        found = self._namespaces.get(Key("", namespace))
        if found is None or is_deleting(found) or self._accounts.get(Key(namespace, NAME)) is not None:
            return
        account = {
            "apiVersion": SERVICE_ACCOUNT.api_version,
            "kind": SERVICE_ACCOUNT.kind,
            "metadata": {"namespace": namespace, "name": NAME},
        }
        try:
            await self._client.create(SERVICE_ACCOUNT, account, namespace=namespace)
        except (AlreadyExists, NotFound, Forbidden):
            return  # made by somebody else, or the namespace is on its way out: its events come again

    def _note(self, key: Key, old: Object | None, new: Object | None) -> None:
        if key.name == NAME:
            self._controller.queue.add(key.namespace)
