"""What the underlay puts into every namespace, in iproute2's words."""

import pytest
from support.wirings import TWO_SITES, addressed, nodes

from fabric.netstate.plan import diff
from fabric.topology import routed

UNDERLAYS = {
    "l2": {"kind": "l2"},
    "leaf-spine": {"kind": "leaf-spine", "uplinks": 2, "uplinkLinks": {"rate": "1Gbit", "mtu": 9000}},
    "two-sites": TWO_SITES,
}


@pytest.mark.parametrize("name", UNDERLAYS)
def test_every_namespace_of_an_underlay(golden, name):
    wiring, given = addressed(UNDERLAYS[name], nodes(2))
    plans = {it: diff(state, frozenset()) for it, state in routed.states(wiring, given).items()}
    golden(f"{name}-states", "".join(f"# {it}\n{plan}" for it, plan in plans.items()))
