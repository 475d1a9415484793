"""Why a container or a pod cannot start now: errors that become a reason in its status."""

from __future__ import annotations

from fabric.errors import FabricError


class ConfigError(FabricError):
    """What the pod refers to is not there, or not as it says: `CreateContainerConfigError`."""


class CreateFailed(FabricError):
    """The container cannot be made on this node: `CreateContainerError`."""


class MountFailed(FabricError):
    """A volume cannot be set up: event `FailedMount`, and the pod waits."""
