"""Fields without a published schema that fabric has no use for: names only, kept as they are and not judged.

A manifest written for a real cluster passes; a name that is neither here, nor in a CRD, nor an attribute of
a dataclass is a slip, which would otherwise change nothing and say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ANYTHING = {"x-kubernetes-preserve-unknown-fields": True}


def _unjudged(names: str) -> Mapping[str, Mapping[str, Any]]:
    return dict.fromkeys(names.split(), ANYTHING)


METADATA = _unjudged(
    "clusterName creationTimestamp deletionGracePeriodSeconds deletionTimestamp finalizers generateName "
    "generation managedFields ownerReferences selfLink"
)
NODE = _unjudged("interfaces wireguard")
WORKLOAD_ENDPOINT = _unjudged("allowSpoofedSourcePrefixes ipNATs qosControls type")
