"""Mark bits: the bits of a packet's mark (fwmark) and who sets them, as on a real node, in one table.

A node's network is made by several parties that know nothing of each other and write into one mark. Whoever
sets a bit takes it from here; no two may have the same.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """Bits of the mark that one party sets for one purpose."""

    bits: int
    owner: str

    def __str__(self) -> str:
        """The form of `--mark` and `--set-xmark`: only these bits count."""
        return f"{self.bits:#x}/{self.bits:#x}"


PORTMAP_MASQUERADE = Mark(0x2000, "portmap (markMasqBit 13)")
"""A host port's connection needs the node's address when it leaves for its pod."""
KUBE_MASQUERADE = Mark(0x4000, "kube-proxy (masqueradeBit 14)")
"""A service's connection needs the node's address; Flannel leaves these to kube-proxy."""
KUBE_DROP = Mark(0x8000, "kubelet (iptables-drop-bit 15)")
CALICO = Mark(0xFFFF0000, "Felix (IptablesMarkMask)")
"""Accept 0x10000, pass 0x20000, drop 0x40000, scratch 0x80000 and 0x100000; the rest are endpoints'."""

MARKS = (PORTMAP_MASQUERADE, KUBE_MASQUERADE, KUBE_DROP, CALICO)
