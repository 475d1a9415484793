"""The version that this Calico calls itself, in ClusterInformation and in calicoctl's reports."""

from __future__ import annotations

from fabric import __version__

VERSION = f"fabric-{__version__}"
