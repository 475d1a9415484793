"""Capabilities of a container: the default set, with what its securityContext adds and drops."""

from __future__ import annotations

import pytest

from fabric.kubelet.containers import capabilities_of
from fabric.runtime.processes.capabilities import DEFAULT_NAMES, NUMBERS

DEFAULT = set(DEFAULT_NAMES)


@pytest.mark.parametrize(
    ("add", "drop", "kept"),
    [
        (["NET_ADMIN"], [], DEFAULT | {"NET_ADMIN"}),
        (["CAP_NET_ADMIN"], ["NET_RAW"], (DEFAULT | {"NET_ADMIN"}) - {"NET_RAW"}),
        ([], ["ALL"], set()),
        (["NET_BIND_SERVICE"], ["ALL"], {"NET_BIND_SERVICE"}),
        (["ALL"], [], set(NUMBERS)),
        (["ALL"], ["NET_RAW"], set(NUMBERS) - {"NET_RAW"}),
        (["NET_RAW"], ["NET_RAW"], DEFAULT - {"NET_RAW"}),
    ],
)
def test_all_goes_before_names_and_what_is_dropped_goes_last(add, drop, kept):
    assert set(capabilities_of({"capabilities": {"add": add, "drop": drop}}) or ()) == kept


@pytest.mark.parametrize("security", [{}, {"capabilities": {}}, {"capabilities": {"add": [], "drop": None}}])
def test_who_asks_for_nothing_has_the_default_set(security):
    assert capabilities_of(security) is None
