"""`fabric cli` where Mininet is not installed."""

import sys

import pytest
from typer.testing import CliRunner

from fabric.cli import cli_command, commands
from fabric.cli.main import app
from fabric.cluster.places import Places
from fabric.errors import FabricError


def test_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(cli_command, "choose", Places)
    monkeypatch.setattr(cli_command, "need_root", lambda what: None)
    for module in [name for name in sys.modules if name.startswith("fabric.cli.mininet_")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "mininet", None)
    for module in ("mininet.cli", "mininet.net", "mininet.node", "mininet.log", "mininet.util"):
        monkeypatch.setitem(sys.modules, module, None)
    commands.register(app, ["cli"])
    done = CliRunner().invoke(app, ["cli", "two-nodes"])
    with pytest.raises(FabricError, match=r"fabric cli needs Mininet: pip install 'pod-fabric\[mininet\]'"):
        raise done.exception
