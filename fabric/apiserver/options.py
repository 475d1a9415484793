"""The options of the API's verbs: ListOptions, write options and DeleteOptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fabric.api.objects import Object
from fabric.api.selectors import EVERYTHING, EVERYTHING_F, FieldSelector, LabelSelector


@dataclass(frozen=True, slots=True)
class ListOptions:
    """The options of a list: selectors, paging, and the resource version it must not be older than."""

    label_selector: LabelSelector = EVERYTHING
    field_selector: FieldSelector = EVERYTHING_F
    limit: int = 0
    continue_: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    send_initial_events: bool | None = None
    """Whether a watch sends the present first; None when the client does not say."""


@dataclass(frozen=True, slots=True)
class ListPage:
    """Objects at one resource version; `continue_` asks for the next page, `remaining` counts the rest."""

    items: Sequence[Object]
    resource_version: str
    continue_: str
    remaining: int | None


def _say_nothing(warning: str) -> None:
    """Nobody asked for warnings."""


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """`field_validation` is Ignore, Warn or Strict: what is done about fields that the kind does not have."""

    dry_run: bool = False
    field_manager: str = ""
    field_validation: str = "Ignore"
    warn: Callable[[str], None] = _say_nothing
    """Is told each warning that the answer should carry."""


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """`uid` and `resource_version` are preconditions."""

    grace_period_seconds: int | None = None
    propagation: str = "Background"
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False
