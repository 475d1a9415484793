"""The table of commands: what a user types, and the module that does it.

Only the module of the command that is typed is imported: `fabric down` waits for no HTTP library.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import typer

_MODULES = {
    "up": "up_command",
    "down": "down_command",
    "list": "cluster_commands",
    "status": "cluster_commands",
    "kubeconfig": "cluster_commands",
    "plan": "file_commands",
    "schema": "file_commands",
    "graph": "graph_command",
    "link": "link_command",
    "cli": "cli_command",
    "bgp": "bgp_command",
    "routes": "routes_command",
    "exec": "pod_commands",
    "logs": "pod_commands",
    "images": "host_commands",
    "doctor": "host_commands",
    "bench": "bench_commands",
    "policy": "policy_command",
}


def register(app: typer.Typer, arguments: Sequence[str]) -> None:
    """Hang the command that `arguments` names below the root; all of them when they name none."""
    typed = next((argument for argument in arguments if not argument.startswith("-")), "")
    if typed in _MODULES:
        import_module(f"fabric.cli.{_MODULES[typed]}").register(app)
        return
    of_plugins = import_module("fabric.cli.plugin_commands")
    if typed in of_plugins.installed():
        of_plugins.register(app, typed)
        return
    for module in dict.fromkeys(_MODULES.values()):
        import_module(f"fabric.cli.{module}").register(app)
    for name in of_plugins.installed():
        of_plugins.register(app, name)
