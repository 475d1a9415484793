"""Failsafe ports are those of hosts that no policy closes, so that nobody locks himself out of a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from calico.resources.fields import key, takes
from calico.resources.readers import masked_network, number
from calico.resources.refusals import Refusal
from fabric.netstate.objects import IPNetwork


@takes(type="string")
def _protocol(value: Any, path: str, refusals: list[Refusal]) -> Any:
    """A protocol that has ports, in lower case."""
    if str(value).lower() not in ("tcp", "udp"):
        refusals.append(Refusal(path, "must be one of: tcp, udp", value))
    return str(value).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtoPort:
    """A port of the host that no policy closes."""

    protocol: str = key("protocol", _protocol)
    port: int = key("port", number(0, 65535))
    net: IPNetwork | None = key("net", masked_network, default=None)
    """Only to or from there, where given."""


def _open(tcp: tuple[int, ...], udp: tuple[int, ...]) -> tuple[ProtoPort, ...]:
    """Failsafe ports by their numbers, in Felix's order."""
    ports = (("tcp", tcp), ("udp", udp))
    return tuple(ProtoPort(protocol=name, port=number) for name, numbers in ports for number in numbers)


_ALWAYS = (179, 2379, 2380, 5473, 6443, 6666, 6667)
"""BGP, etcd, Typha, and API servers."""
INBOUND = _open((22, *_ALWAYS), (68,))
OUTBOUND = _open(_ALWAYS, (53, 67))
