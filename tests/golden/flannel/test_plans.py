"""What `fabric plan` prints of Flannel: everything that three nodes get, in Linux's order."""

from __future__ import annotations

import pytest
from support.flannel_cluster import config, facts

from fabric.netstate.plan import diff
from flannel.plugin import FlannelPlugin


@pytest.mark.parametrize("backend", ["vxlan", "host-gw"])
def test_the_plan_of_three_nodes(golden, backend):
    states = FlannelPlugin().preview(config(backend), [facts(number) for number in (1, 2, 3)])
    text = "\n".join(f"# {name}\n{diff(state, frozenset())}" for name, state in states.items())
    golden(f"three-nodes-{backend}", text)
