"""The lease book is what all nodes know of the cluster: its configuration and every lease at one revision.

All agents of a process read one book, which a reflector of the store keeps. Whoever reads it compares whole
leases: a peer that kept its subnet but changed its MAC or address while the store was away is another lease,
and gets replaced.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from fabric.plugin.reflector import Reflector, ReflectorView
from fabric.store.port import KeyValue
from flannel.leases import CONFIG_KEY, PREFIX, SUBNETS, Lease, parse_lease

FOLLOWED = f"{PREFIX}/"
"""The prefix of the keys that the book is made from."""

log = logging.getLogger(__name__)


class LeaseBook(ReflectorView):
    """All leases by key; tells of each change of content or revision."""

    def __init__(self, reflector: Reflector) -> None:
        self.leases: Mapping[str, Lease] = {}
        """Replaced, never changed: may be kept by whoever reads it."""
        super().__init__(reflector)
        reflector.follow(self, self._turn)

    @property
    def config(self) -> bytes | None:
        """net-conf.json as it stands in the store."""
        kv = self._reflector.kvs.get(CONFIG_KEY)
        return kv.value if kv else None

    @property
    def revision(self) -> int:
        """All changes up to this revision are in the book; 0 before the first list."""
        return self._reflector.revision

    def _turn(self, changed: Collection[str]) -> None:
        keys = [key for key in changed if key.startswith(SUBNETS)]
        if keys:
            leases = {key: lease for key, lease in self.leases.items() if key not in changed}
            found = (self._reflector.kvs[key] for key in keys if key in self._reflector.kvs)
            leases |= {kv.key: lease for kv in found if (lease := _lease(kv)) is not None}
            self.leases = leases
        self.tell()


def _lease(kv: KeyValue) -> Lease | None:
    lease = parse_lease(kv.key, kv.value)
    if lease is None:
        log.warning("%s is not a lease of flannel's: %.200r", kv.key, kv.value)
    return lease
