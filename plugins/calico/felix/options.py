"""The settings by which Felix's chains are rendered: those of FelixConfiguration that stand in rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from calico.felix import tunnels
from calico.felix.rules import FelixRule
from calico.felix.site import Site
from calico.resources.failsafe import ProtoPort
from calico.resources.felix import MARK_BITS_MIN, FelixConfigurationSpec
from fabric.netstate.objects import Family


@dataclass(frozen=True)
class Marks:
    """The bits of a packet's mark by which chains tell each other what they found."""

    accept: int
    passed: int
    drop: int
    scratch0: int
    scratch1: int

    @classmethod
    def of(cls, mask: int) -> Marks:
        """The lowest bits of iptablesMarkMask, in Felix's order."""
        bits = [1 << number for number in range(32) if mask >> number & 1]
        return cls(*bits[:MARK_BITS_MIN])

    @property
    def all(self) -> int:
        return self.accept | self.passed | self.drop | self.scratch0 | self.scratch1


@dataclass(frozen=True)
class RuleOptions:
    """The settings of one node; equal settings render equal chains."""

    felix: FelixConfigurationSpec
    prefixes: tuple[str, ...]
    """The beginnings of pods' devices."""
    vxlan: tuple[Family, ...] = ()
    """The families of which the node has a VXLAN device."""
    has_ipip: bool = False

    @classmethod
    def of(cls, site: Site) -> RuleOptions:
        prefixes = tuple((site.felix.interface_prefix or "cali").split(","))
        vxlan = tuple(family for family in tunnels.FAMILIES if site.wants_vxlan(family))
        return cls(site.felix, prefixes, vxlan, site.wants_ipip)

    @cached_property
    def marks(self) -> Marks:
        return Marks.of(self.felix.iptables_mark_mask or 0)

    @property
    def allow(self) -> str:
        """The action for packets that policies accept, in the filter table."""
        return "RETURN" if self.felix.iptables_filter_allow_action == "Return" else "ACCEPT"

    @property
    def mangle_allow(self) -> str:
        """The same in the mangle table."""
        return "RETURN" if self.felix.iptables_mangle_allow_action == "Return" else "ACCEPT"

    @property
    def deny(self) -> str:
        """The action for packets that policies deny."""
        return "REJECT" if self.felix.iptables_filter_deny_action == "Reject" else "DROP"

    @property
    def deny_word(self) -> str:
        """The same as comments say it."""
        return self.deny.capitalize()

    @property
    def vxlan_port(self) -> int:
        return self.felix.vxlan_port or 4789

    def failsafe(self, *, inbound: bool) -> tuple[ProtoPort, ...]:
        """The ports of the host that no policy closes."""
        found = self.felix.failsafe_inbound_ports if inbound else self.felix.failsafe_outbound_ports
        return found or ()

    def each_device(self, rule: Callable[[str], FelixRule]) -> tuple[FelixRule, ...]:
        """A rule for each beginning of pods' devices; it is given `cali+`."""
        return tuple(rule(f"{prefix}+") for prefix in self.prefixes)


def set_mark(bits: int) -> str:
    """The action that sets bits of the mark."""
    return f"MARK --set-mark {bits:#x}/{bits:#x}"


def set_masked_mark(bits: int, mask: int) -> str:
    """The action that sets `mask` to `bits`."""
    return f"MARK --set-mark {bits:#x}/{mask:#x}"


def clear_mark(bits: int) -> str:
    """The action that clears bits of the mark."""
    return f"MARK --set-mark 0/{bits:#x}"


def mark_is_set(bits: int) -> str:
    """The match of packets that have a bit."""
    return f"-m mark --mark {bits:#x}/{bits:#x}"


def mark_is_clear(bits: int) -> str:
    """The match of packets that have none of these bits."""
    return f"-m mark --mark 0/{bits:#x}"
