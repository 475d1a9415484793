"""Tier: policies in tiers are applied tier by tier, by `order`, and within each by their own.

A packet that is a tier's concern, by its policies, and that none of them decides, meets its default action.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

from calico.resources.envelope import Resource
from calico.resources.fields import key
from calico.resources.readers import choice, decimal
from calico.resources.refusals import Refusal
from fabric.api.names import dns_label_faults
from fabric.api.objects import Object

DEFAULT = "default"
ORDER_DEFAULT = 1_000_000
"""The order of the tier `default`, and of those that say none."""


class Fixed(NamedTuple):
    """The fields of one of Calico's own tiers that nobody may change."""

    order: int
    default_action: str


OWN: Mapping[str, Fixed] = {
    DEFAULT: Fixed(ORDER_DEFAULT, "Deny"),
    "kube-admin": Fixed(1_000, "Pass"),
    "kube-baseline": Fixed(10_000_000, "Pass"),
}
"""The tiers that are always there, with what nobody may change in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TierSpec:
    order: int | float = key("order", decimal, default=ORDER_DEFAULT)
    default_action: str = key("defaultAction", choice("Deny", "Pass"), default="Deny")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier(Resource):
    KIND: ClassVar[str] = "Tier"
    SPEC: ClassVar[type] = TierSpec

    spec: TierSpec

    @classmethod
    def from_object(cls, obj: Object) -> Self:
        """The tier of its JSON; the default action of Calico's own tiers is as it must be."""
        spec, metadata = obj.get("spec") or {}, obj.get("metadata")
        own = OWN.get(str(metadata.get("name"))) if isinstance(metadata, Mapping) else None
        if own is not None and isinstance(spec, Mapping) and spec.get("defaultAction") is None:
            obj = obj | {"spec": {**spec, "defaultAction": own.default_action}}
        return super(Tier, cls).from_object(obj)

    def refusals(self) -> list[Refusal]:
        return [*self._name(), *self._fixed()]

    def _name(self) -> Iterator[Refusal]:
        for fault in dns_label_faults(self.name):
            yield Refusal("metadata.name", fault, self.name)

    def _fixed(self) -> Iterator[Refusal]:
        if (own := OWN.get(self.name)) is not None:
            fields: tuple[tuple[str, Any, Any], ...] = (
                ("order", self.spec.order, own.order),
                ("defaultAction", self.spec.default_action, own.default_action),
            )
            for name, given, must in fields:
                if given != must:
                    yield Refusal(f"spec.{name}", f"{self.name} tier {name} must be {must}", given)


def own_tiers() -> tuple[Tier, ...]:
    """The tiers that a cluster begins with."""
    return tuple(
        Tier.named(name, order=it.order, default_action=it.default_action) for name, it in OWN.items()
    )
