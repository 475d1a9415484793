"""HostEndpoint: an interface of a node, or all of them, to which policies apply as to a pod's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from calico.resources.endpoints import EndpointPort
from calico.resources.envelope import Resource
from calico.resources.fields import key, takes
from calico.resources.numbers_or_names import WITH_PORTS
from calico.resources.readers import address, listed, nested, subdomain
from calico.resources.refusals import Refusal
from fabric.api.names import port_name_faults
from fabric.netstate.objects import IPAddress

ALL_INTERFACES = "*"
_INTERFACE = re.compile(r"[\w.-]{1,15}", re.ASCII)


@takes(type="string")
def _interface(value: Any, path: str, refusals: list[Refusal]) -> Any:
    if not isinstance(value, str) or (value and value != ALL_INTERFACES and not _INTERFACE.fullmatch(value)):
        reason = f"must be the name of an interface, or {ALL_INTERFACES} for all of the node"
        refusals.append(Refusal(path, reason, value))
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEndpointSpec:
    node: str = key("node", subdomain)
    interface_name: str = key("interfaceName", _interface, default="")
    """Empty: the one that has one of the expected addresses."""
    expected_ips: tuple[IPAddress, ...] = key("expectedIPs", listed(address), default=())
    """What rules' selectors stand for where they select this endpoint."""
    profiles: tuple[str, ...] = key("profiles", listed(subdomain), default=())
    ports: tuple[EndpointPort, ...] = key("ports", listed(nested(EndpointPort)), default=())
    """The numbers of ports that rules name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEndpoint(Resource):
    KIND: ClassVar[str] = "HostEndpoint"
    SPEC: ClassVar[type] = HostEndpointSpec

    spec: HostEndpointSpec

    def refusals(self) -> list[Refusal]:
        found = [*self._ports()]
        if not self.spec.interface_name and not self.spec.expected_ips:
            reason = "no interface or expected IPs have been specified"
            found.append(Refusal("spec.interfaceName", reason))
        return found

    def _ports(self) -> Iterator[Refusal]:
        for index, port in enumerate(self.spec.ports):
            path = f"spec.ports[{index}]"
            for fault in port_name_faults(port.name):
                yield Refusal(f"{path}.name", fault, port.name)
            if port.protocol not in WITH_PORTS:
                reason = (
                    f"EndpointPort protocol does not support ports; allowed: {', '.join(sorted(WITH_PORTS))}"
                )
                yield Refusal(f"{path}.protocol", reason, port.protocol)
