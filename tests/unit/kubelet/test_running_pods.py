"""Pods on one node, from binding to Running, and what becomes of their containers."""

from __future__ import annotations

import pytest

from fabric.api.objects import condition_is
from fabric.kernel.fake_program import Program
from support.one_node import OneNode, after, container


@pytest.fixture
def node(tmp_path):
    return OneNode(tmp_path)


async def test_a_bound_pod_is_running_with_an_address_after_one_status_write(node):
    async with node.kubelet():
        node.create()
        await after(0.5)
        status = node.status()
        assert status["phase"] == "Running"
        assert status["podIP"] == "10.244.1.2"
        assert status["podIPs"] == [{"ip": "10.244.1.2"}]
        assert status["hostIP"] == "192.168.0.11"
        assert condition_is(node.pod(), "Ready")
        assert node.status_writes() == 1
