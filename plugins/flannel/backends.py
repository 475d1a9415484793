"""The backends that this plugin has, by the type that net-conf.json names."""

from __future__ import annotations

from collections.abc import Mapping

from flannel.backend import Backend
from flannel.host_gw import HostGwBackend
from flannel.net_conf import Option
from flannel.vxlan import VxlanBackend

BACKENDS: Mapping[str, Backend] = {backend.type: backend for backend in (VxlanBackend(), HostGwBackend())}
OPTIONS: Mapping[str, Mapping[str, Option]] = {name: backend.options for name, backend in BACKENDS.items()}
