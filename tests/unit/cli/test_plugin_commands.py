"""Commands of plugins: which words are whose, which cluster is meant, and launchers."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from fabric.cli import plugin_commands
from fabric.cluster.paths import ClusterPaths
from fabric.errors import BadInput, FabricError
from fabric.plugin import commands as installed


class Echo:
    """A command that says what it was told."""

    summary = "Say it again."
    example = "hello"

    def complete(self, words, incomplete):
        return [f"behind-{len(words)}", "other"]

    async def run(self, context):
        context.stdout.write(f"{context.argv}\n")
        if "cluster" in context.argv:
            context.stdout.write(context.cluster().name)
        return len(context.argv)


@pytest.fixture
def said(monkeypatch, tmp_path):
    """Run `fabric echo` with these words."""
    monkeypatch.setattr(installed, "load", lambda name: Echo())
    monkeypatch.setenv("FABRIC_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("FABRIC_STATE_DIR", str(tmp_path / "state"))
    app = typer.Typer()
    app.callback()(lambda: None)
    plugin_commands.register(app, "echo")
    return lambda *words: CliRunner().invoke(app, ["echo", *words])


@pytest.mark.parametrize(
    "words",
    [("get", "-o", "wide"), ("--help",), ("-f", "-", "--", "-x"), ("-l", "debug", "get", "--cluster", "a")],
)
def test_everything_behind_the_name_is_the_commands_own(said, words):
    result = said(*words)
    assert result.output == f"{words}\n"
    assert result.exit_code == len(words)


def test_only_a_cluster_in_front_is_fabrics(said):
    assert said("--cluster", "one", "get").output == "('get',)\n"
    assert said("--cluster=one", "get").output == "('get',)\n"
    assert isinstance(said("--cluster").exception, BadInput)


def test_the_cluster_is_chosen_as_for_fabrics_own_commands(said, monkeypatch):
    meant = []
    monkeypatch.setattr(
        plugin_commands, "choose_by_option", lambda name: meant.append(name) or ClusterPaths(name or "none")
    )
    monkeypatch.setattr(plugin_commands, "need_root", lambda what: None)
    said("cluster")
    said("--cluster", "one", "cluster")
    assert meant == [None, "one"]


def test_a_cluster_without_a_spec_is_not_up(said, monkeypatch):
    monkeypatch.setattr(plugin_commands, "choose_by_option", ClusterPaths)
    monkeypatch.setattr(plugin_commands, "need_root", lambda what: None)
    assert "cluster one is not up" in str(said("--cluster", "one", "cluster").exception)


def test_a_launcher_calls_the_command(tmp_path):
    path = tmp_path / "calicoctl"
    assert plugin_commands.install("calicoctl", [str(tmp_path)]) == f"{path} runs fabric calicoctl"
    done = subprocess.run(
        [path, "version", "--client"], capture_output=True, text=True, check=True, timeout=180
    )
    assert done.stdout.startswith("Client Version:")
    assert plugin_commands.install("calicoctl", [str(tmp_path)])
    assert [it.name for it in tmp_path.iterdir()] == ["calicoctl"]


def test_a_strangers_file_is_not_replaced(tmp_path):
    path = tmp_path / "calicoctl"
    path.write_text("#!/bin/sh\n")
    with pytest.raises(FabricError, match="is there and is not fabric's"):
        plugin_commands.install("calicoctl", [str(tmp_path)])
    assert path.read_text() == "#!/bin/sh\n"
    with pytest.raises(BadInput, match="no folder"):
        plugin_commands.install("calicoctl", [str(tmp_path / "nowhere")])
    with pytest.raises(BadInput, match="one folder"):
        plugin_commands.install("calicoctl", ["a", "b"])


def test_a_launcher_that_cannot_be_written_says_why_and_leaves_nothing(tmp_path):
    (tmp_path / "calicoctl").mkdir()
    with pytest.raises(
        FabricError, match=r"cannot write .*/calicoctl: Is a directory; choose another folder"
    ):
        plugin_commands.install("calicoctl", [str(tmp_path)])
    for folder in ("a" * 300, str(tmp_path / "calicoctl" / ("b" * 5000)), "/dev/null"):
        with pytest.raises(BadInput, match="--install: no folder"):
            plugin_commands.install("calicoctl", [folder])
    assert [it.name for it in tmp_path.iterdir()] == ["calicoctl"]


def test_calicoctl_is_found_by_its_entry_point():
    assert "calicoctl" in installed.installed()
    with pytest.raises(FabricError, match=r"command 'growl' is not installed \(installed: calicoctl"):
        installed.load("growl")


def test_what_is_typed_decides_what_is_imported():
    wanted = "from fabric.cli import commands; import typer, sys; commands.register(typer.Typer(), ['down']);"
    tell = "print([name for name in ('aiohttp', 'calico', 'fabric.plugin.commands') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-P", "-c", wanted + tell], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
