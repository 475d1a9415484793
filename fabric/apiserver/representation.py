"""The shapes an object or a page can be shown in: itself, a Table, or its metadata alone."""

from __future__ import annotations

from datetime import datetime

from fabric.api.kinds import Kind
from fabric.api.objects import Object
from fabric.apiserver import tables
from fabric.apiserver.negotiation import MediaType
from fabric.apiserver.options import ListPage
from fabric.apiserver.tables import metadata_only


def of_object(kind: Kind, obj: Object, media: MediaType, include: str, now: datetime) -> Object:
    """The object in the form that `media` asks for; a Status is always shown as itself."""
    if not media.as_ or obj.get("kind") == "Status":
        return obj
    if media.as_ == "Table":
        meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return tables.table(kind, (obj,), meta, media.group_version, include, now)
    return metadata_only(obj, media.group_version)


def of_page(kind: Kind, page: ListPage, media: MediaType, include: str, now: datetime) -> Object:
    """The page of objects in the form that `media` asks for."""
    meta = list_meta(page)
    if media.as_ == "Table":
        return tables.table(kind, page.items, meta, media.group_version, include, now)
    if media.as_:
        items = [metadata_only(obj, media.group_version) for obj in page.items]
        api_version, name = media.group_version, "PartialObjectMetadataList"
    else:
        items, api_version, name = list(page.items), kind.api_version, f"{kind.kind}List"
    return {"kind": name, "apiVersion": api_version, "metadata": meta, "items": items}


def list_meta(page: ListPage) -> Object:
    meta: Object = {"resourceVersion": page.resource_version}
    if page.continue_:
        meta["continue"] = page.continue_
        if page.remaining is not None:
            meta["remainingItemCount"] = page.remaining
    return meta
