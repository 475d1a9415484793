"""Plugins are found by the entry point `fabric.network_plugins`, never by import."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points

from fabric.api.kinds import NETWORK_POLICY, Kind
from fabric.errors import FabricError
from fabric.plugin.contract import NetworkPlugin

GROUP = "fabric.network_plugins"


def installed() -> tuple[str, ...]:
    """Names of all installed network plugins, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def load(name: str) -> NetworkPlugin:
    """Return the plugin of that name; FabricError names those that are installed."""
    for point in entry_points(group=GROUP):
        if point.name == name:
            plugin: NetworkPlugin = point.load()()
            return plugin
    known = ", ".join(installed()) or "none"
    raise FabricError(f"network plugin {name!r} is not installed (installed: {known}); pip install it first")


def idle_kinds(name: str) -> Mapping[Kind, str]:
    """The kinds of Kubernetes that this plugin leaves alone, with the warning for whoever writes one."""
    if load(name).enforces_policies:
        return {}
    return {NETWORK_POLICY: f"the network plugin {name} does not enforce NetworkPolicy"}
