"""The names of Felix's chains: those that need no more than 28 characters read as what they are for."""

from __future__ import annotations

import base64
import hashlib

from calico.calc.objects import Direction, PolicyId
from calico.calc.rules import RulesId

LENGTH_MAX = 28
_KINDS = {"KubernetesNetworkPolicy": "knp", "NetworkPolicy": "np", "GlobalNetworkPolicy": "gnp"}


def limited(prefix: str, suffix: str) -> str:
    """Prefix and suffix, or a hash in the suffix's place where they are too long together."""
    if len(prefix) + len(suffix) <= LENGTH_MAX and not suffix.startswith("_"):
        return prefix + suffix
    digest = base64.urlsafe_b64encode(hashlib.sha256(suffix.encode()).digest()).decode()
    return f"{prefix}_{digest}"[:LENGTH_MAX]


def short_kind(kind: str) -> str:
    """`np`, `gnp` or `knp`."""
    return _KINDS[kind]


def policy_text(policy: PolicyId) -> str:
    """`knp/default/allow-dns`, `gnp/deny-all`."""
    return "/".join(filter(None, (_KINDS[policy.kind], policy.namespace, policy.name)))


def rules_chain(rules: RulesId, direction: Direction) -> str:
    """The chain of a policy's or profile's rules."""
    is_in = direction == "ingress"
    if isinstance(rules, PolicyId):
        return limited("cali-pi-" if is_in else "cali-po-", policy_text(rules))
    return limited("cali-pri-" if is_in else "cali-pro-", rules)
