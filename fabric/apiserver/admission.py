"""Admission plug-ins judge a new object by others that are there, before its defaults are filled in.

They are kube-apiserver's, with its words. NamespaceLifecycle always runs, others where they can judge: `plan`
cannot know which service accounts a cluster has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from fabric.api.kinds import NAMESPACE, POD, SERVICE_ACCOUNT, Kind
from fabric.api.objects import Object
from fabric.apiserver.cacher import Cacher
from fabric.apiserver.namespaces import is_terminating
from fabric.apiserver.pod_defaults import DEFAULT_ACCOUNT, service_account_of
from fabric.apiserver.refusals import Cause, forbidden, not_found
from fabric.apiserver.storage_keys import object_key
from fabric.errors import ServerUnavailable

DEFAULT_ACCOUNT_SECONDS_MAX = 30.0
"""For the controller that makes a new namespace's account; upstream looks ten times, for two seconds."""


@dataclass(frozen=True, slots=True)
class NewObject:
    """An object that a client wants to create, decoded; `name` may be the beginning of one."""

    kind: Kind
    namespace: str
    name: str
    obj: Object


Plugin = Callable[[Cacher, NewObject], Awaitable[None]]
"""Returns when the object is admitted; NotFound or Forbidden says why it is not."""


async def namespace_lifecycle(cacher: Cacher, new: NewObject) -> None:
    """A namespaced object needs a namespace that is there to stay."""
    if not new.kind.namespaced:
        return
    item = cacher.of(NAMESPACE).get(new.namespace)
    if item is None:
        raise not_found(NAMESPACE, new.namespace)
    if is_terminating(item.obj):
        cause = Cause(
            "NamespaceTerminating", "metadata.namespace", f"namespace {new.namespace} is being terminated"
        )
        why = f"unable to create new content in namespace {new.namespace} because it is being terminated"
        raise forbidden(new.kind, new.name, why, cause)


async def service_account(cacher: Cacher, new: NewObject) -> None:
    """A pod's service account must exist; for a namespace's first one, a moment is waited."""
    spec = new.obj.get("spec")
    if not new.kind.names_same_as(POD) or not isinstance(spec, dict):
        return
    name = service_account_of(spec) or DEFAULT_ACCOUNT
    key = object_key(SERVICE_ACCOUNT, new.namespace, name)
    if name == DEFAULT_ACCOUNT:
        await _comes(cacher, key)
    if cacher.of(SERVICE_ACCOUNT).get(key) is None:
        why = f'error looking up service account {key}: serviceaccount "{name}" not found'
        raise forbidden(POD, new.name, why)


async def _comes(cacher: Cacher, key: str) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(DEFAULT_ACCOUNT_SECONDS_MAX):
            while cacher.of(SERVICE_ACCOUNT).get(key) is None:
                with suppress(ServerUnavailable):
                    await cacher.reached(cacher.revision + 1)


async def runtime_class(cacher: Cacher, new: NewObject) -> None:
    """A pod's overhead is its RuntimeClass'; a pod that names none has none."""
    spec = new.obj.get("spec")
    if not new.kind.names_same_as(POD) or not isinstance(spec, dict):
        return
    if spec.get("overhead") and not spec.get("runtimeClassName"):
        why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
        raise forbidden(POD, new.name, why)
