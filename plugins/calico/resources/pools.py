"""IPPool: addresses for pods, how packets between their nodes travel, and which nodes may take from it.

IPReservation: addresses that are never given out by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import ClassVar, Self

from calico.resources.envelope import Resource
from calico.resources.fields import key
from calico.resources.readers import choice, flag, listed, masked_network, number, selector, subnet
from calico.resources.refusals import Refusal
from fabric.api.objects import Object
from fabric.netstate.objects import Family, IPNetwork

ENCAPSULATIONS = ("Always", "CrossSubnet", "Never")
USES = ("Workload", "Tunnel", "LoadBalancer")
USES_DEFAULT = ("Workload", "Tunnel")
BLOCK_SIZE_DEFAULT: dict[Family, int] = {4: 26, 6: 122}
BLOCK_SIZES: dict[Family, range] = {4: range(20, 33), 6: range(116, 129)}
_SIZES = "must be a whole number: from 20 to 32 for IPv4, from 116 to 128 for IPv6"
_LINK_LOCAL = {4: ip_network("169.254.0.0/16"), 6: ip_network("fe80::/10")}


@dataclass(frozen=True, slots=True, kw_only=True)
class IPPoolSpec:
    cidr: IPNetwork = key("cidr", subnet)
    vxlan_mode: str = key("vxlanMode", choice(*ENCAPSULATIONS), default="Never")
    ipip_mode: str = key("ipipMode", choice(*ENCAPSULATIONS), default="Never")
    nat_outgoing: bool = key("natOutgoing", flag, default=False)
    disabled: bool = key("disabled", flag, default=False)
    disable_bgp_export: bool = key("disableBGPExport", flag, default=False)
    block_size: int = key("blockSize", number(0, 128, _SIZES), default=0)
    """Prefix length of the blocks; 0 becomes 26, for IPv6 122."""
    node_selector: str = key("nodeSelector", selector, default="all()")
    namespace_selector: str = key("namespaceSelector", selector, default="")
    allowed_uses: tuple[str, ...] = key("allowedUses", listed(choice(*USES)), default=USES_DEFAULT)
    assignment_mode: str = key("assignmentMode", choice("Automatic", "Manual"), default="Automatic")

    def __post_init__(self) -> None:
        """Fill in what Calico fills in when the field is empty, before anything is stored."""
        if not self.block_size:
            object.__setattr__(self, "block_size", BLOCK_SIZE_DEFAULT[_family(self.cidr)])
        if not self.node_selector:
            object.__setattr__(self, "node_selector", "all()")
        if not self.allowed_uses:
            object.__setattr__(self, "allowed_uses", USES_DEFAULT)

    @property
    def family(self) -> Family:
        return _family(self.cidr)

    @property
    def encapsulation(self) -> str:
        """`ipip`, `vxlan`, or nothing."""
        return "ipip" if self.ipip_mode != "Never" else "vxlan" if self.vxlan_mode != "Never" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IPPool(Resource):
    KIND: ClassVar[str] = "IPPool"
    SPEC: ClassVar[type] = IPPoolSpec

    spec: IPPoolSpec

    @classmethod
    def from_object(cls, obj: Object) -> Self:
        """The pool of its JSON; an empty mode or assignment mode is its default, as in Go."""
        spec = obj.get("spec")
        if isinstance(spec, dict):
            obj = obj | {"spec": {name: value for name, value in spec.items() if value != ""}}
        return super(IPPool, cls).from_object(obj)

    def refusals(self) -> list[Refusal]:
        return [*self._size(), *self._modes(), *self._place()]

    def _size(self) -> Iterator[Refusal]:
        spec = self.spec
        sizes = BLOCK_SIZES[spec.family]
        if spec.block_size not in sizes:
            reason = f"IPv{spec.family} block size must be between {sizes.start} and {sizes.stop - 1}"
            yield Refusal("spec.blockSize", reason, spec.block_size)
        elif not spec.disabled and spec.cidr.prefixlen > spec.block_size:
            reason = (
                "IP pool size is too small for use with Calico IPAM. "
                f"It must be equal to or greater than the block size (/{spec.block_size})."
            )
            yield Refusal("spec.cidr", reason, spec.cidr)

    def _modes(self) -> Iterator[Refusal]:
        spec = self.spec
        if spec.vxlan_mode != "Never" and spec.ipip_mode != "Never":
            reason = "Cannot enable both VXLAN and IPIP on the same IPPool"
            yield Refusal("spec.vxlanMode", reason, spec.vxlan_mode)
        if spec.family == 6 and spec.ipip_mode != "Never":
            yield Refusal("spec.ipipMode", "IPIP is not supported on an IPv6 IP pool", spec.ipip_mode)
        if "LoadBalancer" in spec.allowed_uses and len(spec.allowed_uses) > 1:
            reason = "LoadBalancer cannot be used simultaneously with Workload or Tunnel"
            yield Refusal("spec.allowedUses", reason, ", ".join(spec.allowed_uses))

    def _place(self) -> Iterator[Refusal]:
        cidr = self.spec.cidr
        local = _LINK_LOCAL[self.spec.family]
        if cidr.overlaps(local):
            reason = f"IPPool CIDR overlaps with IPv{self.spec.family} Link Local range {local}"
            yield Refusal("spec.cidr", reason, cidr)


@dataclass(frozen=True, slots=True, kw_only=True)
class IPReservationSpec:
    reserved_cidrs: tuple[IPNetwork, ...] = key("reservedCIDRs", listed(masked_network), default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class IPReservation(Resource):
    KIND: ClassVar[str] = "IPReservation"
    SPEC: ClassVar[type] = IPReservationSpec

    spec: IPReservationSpec


def _family(cidr: IPNetwork) -> Family:
    return 4 if cidr.version == 4 else 6
