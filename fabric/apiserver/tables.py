"""Tables, as `kubectl get` prints them: the server computes the cells, by kind.

A column has a function of the object and the time; a kind without columns of its own shows its name
and age. Columns of priority 1 are shown with `-o wide` only.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from fabric.api.kinds import Kind
from fabric.api.objects import Object
from fabric.apiserver.columns import AGE, COLUMNS, NAME, NAME_AND_AGE, Column
from fabric.plugin.served import PrinterColumn, ServedKind


def table(
    kind: Kind, objects: Iterable[Object], meta: Object, group_version: str, include: str, now: datetime
) -> Object:
    """A meta.k8s.io Table; `include` is None, Metadata or Object: what each row carries of its object."""
    columns = columns_of(kind)
    rows = []
    for obj in objects:
        row: Object = {"cells": [column.of(obj, now) for column in columns]}
        if include == "Object":
            row["object"] = obj
        elif include != "None":
            row["object"] = metadata_only(obj, group_version)
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": group_version,
        "metadata": meta,
        "columnDefinitions": [column.definition() for column in columns],
        "rows": rows,
    }


def columns_of(kind: Kind) -> tuple[Column, ...]:
    """The columns of the kind; a plugin's stand between name and age, its wide ones behind."""
    if not isinstance(kind, ServedKind):
        return COLUMNS.get((kind.group, kind.plural), NAME_AND_AGE)
    narrow = (_column(column) for column in kind.columns if not column.is_wide)
    wide = (_column(column) for column in kind.columns if column.is_wide)
    return (NAME, *narrow, *((AGE,) if kind.has_age else ()), *wide)


def _column(column: PrinterColumn) -> Column:
    return Column(column.name, lambda obj, now: column.cell(obj), column.type, priority=int(column.is_wide))


def metadata_only(obj: Object, group_version: str) -> Object:
    """The object's PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": group_version, "metadata": obj["metadata"]}
