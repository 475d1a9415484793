"""Keys in JSON are as Kubernetes writes them, whatever the attributes behind them are called."""

from __future__ import annotations

import json
import re

import pytest
import typer
from typer.testing import CliRunner

from fabric.cli import bgp_command, graph_command, link_command
from fabric.cli.output import camel
from fabric.topology.wiring import Link
from fabric.verify.bgp import Session

FILE = (
    "apiVersion: fabric.dev/v1\nkind: Topology\nmetadata: {name: t}\n"
    "spec: {nodes: 2, network: {plugin: flannel}, underlay: {kind: leaf-spine}}\n"
)


def keys(value):
    """Every key in it, however deep."""
    if isinstance(value, dict):
        return set(value) | keys(list(value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


def said(module, *words):
    app = typer.Typer()
    app.callback()(lambda: None)
    module.register(app)
    done = CliRunner().invoke(app, [*words, "-o", "json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def one_session(monkeypatch):
    async def sessions(places, spec):
        return [Session("node-1", "Mesh_1", as_number=64512, local_as=64513)]

    for name in ("need_root", "choose", "need_spec"):
        monkeypatch.setattr(bgp_command, name, lambda _: None)
    monkeypatch.setattr(bgp_command, "birds", lambda places, spec: ["bird"])
    monkeypatch.setattr(bgp_command.sessions_of, "sessions", sessions)


def test_bgp_says_as_number(one_session):
    (session,) = said(bgp_command, "bgp")
    assert (session["asNumber"], session["localAs"]) == (64512, 64513)
    assert not [key for key in keys(session) if "_" in key]


def test_graph_and_link_show_say_delay_us(tmp_path):
    (tmp_path / "t.yaml").write_text(FILE)
    graph = said(graph_command, "graph", str(tmp_path / "t.yaml"))
    link = link_command._as_json(Link("leaf-1", "spine-1"))
    for found in keys(graph), keys(link):
        assert {"delayUs", "lossPpm", "mtu"} <= found
        assert all(re.fullmatch("[a-zA-Z]+", key) for key in found)


def test_only_keys_are_written_anew():
    assert camel({"a_b": ("c_d", {"e_f_g": None})}) == {"aB": ["c_d", {"eFG": None}]}
