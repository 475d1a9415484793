"""The strategies of kinds: a table with a row for each kind, of the functions that default and check it.

A kind without a row gets the plain strategy: schema, metadata, and no rules of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

from fabric.api.kinds import (
    CONFIG_MAP,
    EVENT,
    LEASE,
    NAMESPACE,
    NETWORK_POLICY,
    NODE,
    POD,
    SECRET,
    SERVICE_ACCOUNT,
    Kind,
)
from fabric.api.objects import Object
from fabric.apiserver import (
    configs,
    namespaces,
    network_policies,
    nodes,
    pod_defaults,
    pod_warnings,
    without_effect,
)
from fabric.apiserver.refusals import Cause
from fabric.apiserver.validation import network_policies as network_policy_rules
from fabric.apiserver.validation import pod_updates, pods
from fabric.plugin.served import NoRules, Rules, ServedKind


def _as_it_is(obj: Object) -> Object:
    return obj


def _as_the_client_gave_it(new: Object, old: Object) -> Object:
    return new


def _no_faults(obj: Object) -> Iterable[Cause]:
    return ()


def _no_update_faults(new: Object, old: Object) -> Iterable[Cause]:
    return ()


@dataclass(frozen=True, slots=True)
class Strategy:
    """The strategy of a kind's writes. Its functions return new objects and never write into one."""

    prepare_for_create: Callable[[Object], Object] = _as_it_is
    """Runs at creation, before the defaults."""
    prepare_for_update: Callable[[Object, Object], Object] = _as_the_client_gave_it
    """Gets the new and the old object; runs before the defaults, where a client writes the object itself."""
    default: Callable[[Object], Object] = _as_it_is
    """Fills everything but the status; runs when anything but the status changes."""
    default_status: Callable[[Object], Object] = _as_it_is
    """Fills the status; runs when the status changes."""
    check: Callable[[Object], Iterable[Cause]] = _no_faults
    check_update: Callable[[Object, Object], Iterable[Cause]] = _no_update_faults
    """Gets the new and the old object."""
    check_status: Callable[[Object], Iterable[Cause]] = _no_faults
    """Runs when the status changes."""
    initial_status: Object | None = None
    keeps_status_on_create: bool = False
    """Whether the creator's status is kept, though the kind has a status subresource."""
    creates_on_update: bool = False
    """Whether a PUT of what is not there creates it (AllowCreateOnUpdate of upstream's strategies)."""
    tracks_generation: bool = True
    label_name: bool = False
    """Names must be DNS labels, not subdomains."""
    fields: frozenset[str] = frozenset()
    """Fields that a field selector may name, beside metadata.name and metadata.namespace."""


PLAIN = Strategy()

_STRATEGIES: dict[tuple[str, str], Strategy] = {
    (POD.group, POD.plural): Strategy(
        default=pod_defaults.defaulted,
        default_status=pod_defaults.status_defaulted,
        check=pods.faults,
        check_update=pod_updates.faults,
        check_status=pod_updates.status_faults,
        initial_status={"phase": "Pending"},
        prepare_for_create=pod_defaults.admitted,
        prepare_for_update=pod_defaults.readmitted,
        fields=pod_updates.SELECTABLE,
    ),
    (NODE.group, NODE.plural): Strategy(
        default=nodes.defaulted,
        default_status=nodes.status_defaulted,
        check=nodes.faults,
        check_update=nodes.update_faults,
        check_status=nodes.status_faults,
        keeps_status_on_create=True,
        tracks_generation=False,
        fields=frozenset({"spec.unschedulable"}),
    ),
    (NAMESPACE.group, NAMESPACE.plural): Strategy(
        default=namespaces.defaulted,
        prepare_for_create=namespaces.prepared,
        check=namespaces.faults,
        initial_status={"phase": "Active"},
        tracks_generation=False,
        label_name=True,
        fields=frozenset({"status.phase"}),
    ),
    (SECRET.group, SECRET.plural): Strategy(
        default=configs.secret_defaulted,
        check=configs.secret_faults,
        check_update=configs.secret_update_faults,
        fields=frozenset({"type"}),
    ),
    (CONFIG_MAP.group, CONFIG_MAP.plural): Strategy(
        check=configs.config_map_faults, check_update=configs.config_map_update_faults
    ),
    (SERVICE_ACCOUNT.group, SERVICE_ACCOUNT.plural): Strategy(),
    (LEASE.group, LEASE.plural): Strategy(
        check=configs.lease_faults, creates_on_update=True, tracks_generation=False
    ),
    (EVENT.group, EVENT.plural): Strategy(
        default=configs.event_defaulted,
        check=configs.event_faults,
        creates_on_update=True,
        fields=configs.EVENT_FIELDS,
    ),
    (NETWORK_POLICY.group, NETWORK_POLICY.plural): Strategy(
        default=network_policies.defaulted, check=network_policy_rules.faults
    ),
}


_SERVED = Strategy(tracks_generation=False)
"""A plugin's kinds have rules of their own, and no generations: its other doors count none."""


def strategy_of(kind: Kind) -> Strategy:
    return _SERVED if isinstance(kind, ServedKind) else _STRATEGIES.get((kind.group, kind.plural), PLAIN)


_NO_RULES = NoRules()


def rules_of(kind: Kind) -> Rules:
    """The rules of the plugin that has the kind served; none for Kubernetes' own kinds."""
    return kind.rules if isinstance(kind, ServedKind) else _NO_RULES


def warn(
    kind: Kind, obj: Object, old: Object | None, tell: Callable[[str], None], idle: Mapping[Kind, str]
) -> None:
    """Tell what an object, as the client gave it, asks for in place of `old` and does not get.

    `idle` has a warning for each kind that nothing follows here.
    """
    own = _OWN_WARNINGS.get((kind.group, kind.plural), _no_warnings)(obj, old)
    found = kind.warnings(obj) if isinstance(kind, ServedKind) else without_effect.warnings(kind, obj, old)
    for text in chain(own, found, [idle[kind]] if kind in idle else ()):
        tell(text)


def _no_warnings(obj: Object, old: Object | None) -> Iterable[str]:
    return ()


_OWN_WARNINGS: dict[tuple[str, str], Callable[[Object, Object | None], Iterable[str]]] = {
    (POD.group, POD.plural): pod_warnings.warnings,
    (NETWORK_POLICY.group, NETWORK_POLICY.plural): network_policies.warnings,
}
"""Kubernetes' own."""
