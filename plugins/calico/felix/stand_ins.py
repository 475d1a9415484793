"""Stand-ins: the chains that close what a chain of an endpoint or of policies should judge, and cannot.

Where Linux refuses such a chain, or it cannot be rendered, what leads to it would be open, or refused too.
"""

from __future__ import annotations

from dataclasses import replace

from calico.felix.endpoint_chains import (
    FAILSAFE_IN,
    FAILSAFE_OUT,
    FROM_HOST,
    FROM_HOST_FORWARD,
    FROM_WORKLOAD,
    TO_HOST,
    TO_HOST_FORWARD,
    TO_WORKLOAD,
)
from calico.felix.policy_groups import INBOUND, OUTBOUND
from calico.felix.rules import FelixRule, chain
from fabric.netstate.objects import Chain

_JUDGES = ("cali-pi-", "cali-po-", "cali-pri-", "cali-pro-", INBOUND, OUTBOUND)
"""What the names of chains of policies, profiles and groups begin with."""
_WAYS = (TO_WORKLOAD, FROM_WORKLOAD, TO_HOST_FORWARD, FROM_HOST_FORWARD)
_FAILSAFES = {TO_HOST: FAILSAFE_OUT, FROM_HOST: FAILSAFE_IN}
_KNOWN = FelixRule("ACCEPT", ("-m conntrack --ctstate RELATED,ESTABLISHED",))
_CLOSED = FelixRule("DROP", comments=("Stands in for a chain that cannot be there",))


def stand_in(refused: Chain) -> Chain | None:
    """The chain that drops in the place of another; None for one whose loss opens nothing by itself.

    A host keeps its known connections and its failsafe ports; of the tables before routing only the chains of
    policies are closed.
    """
    name = refused.name
    failsafe = next((found for prefix, found in _FAILSAFES.items() if name.startswith(prefix)), "")
    if failsafe and refused.table == "filter":
        rules = [_KNOWN, FelixRule(failsafe), _CLOSED]
    elif name.startswith(_JUDGES) or (name.startswith(_WAYS) and refused.table == "filter"):
        rules = [_CLOSED]
    else:
        return None
    origin = next((rule.origin for rule in refused.rules if rule.origin), "felix")
    return chain(refused.table, name, [replace(rule, origin=origin) for rule in rules], refused.family)
