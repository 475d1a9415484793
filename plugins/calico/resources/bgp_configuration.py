"""BGPConfiguration: `default` for all nodes, `node.<name>` for one, which wins field by field.

A field left out is None here; `effective` says what holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from calico.resources import crds
from calico.resources.envelope import Resource
from calico.resources.fields import key, rest
from calico.resources.notation import COMMUNITY_FORM, is_community
from calico.resources.readers import (
    as_number,
    choice,
    document_of,
    duration,
    flag,
    interface_pattern,
    listed,
    nested,
    network,
    number,
    text,
    word,
)
from calico.resources.refusals import Refusal
from fabric.netstate.objects import IPNetwork

_COMMUNITY = f"invalid community value: {COMMUNITY_FORM}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CIDRBlock:
    cidr: IPNetwork = key("cidr", network)


@dataclass(frozen=True, slots=True, kw_only=True)
class Community:
    """A name for a community value, standard (`a:b`) or large (`a:b:c`)."""

    name: str = key("name", text)
    value: str = key("value", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixAdvertisement:
    """Communities, by name or value, that are put on the routes inside a prefix."""

    cidr: IPNetwork = key("cidr", network)
    communities: tuple[str, ...] = key("communities", listed(text), default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class BGPConfigurationSpec:
    log_severity_screen: str | None = key(
        "logSeverityScreen", word("Trace", "Debug", "Info", "Warning", "Error", "Fatal"), default=None
    )
    node_to_node_mesh_enabled: bool | None = key("nodeToNodeMeshEnabled", flag, default=None)
    as_number: int | None = key("asNumber", as_number, default=None)
    service_load_balancer_ips: tuple[CIDRBlock, ...] = key(
        "serviceLoadBalancerIPs", listed(nested(CIDRBlock)), default=()
    )
    service_external_ips: tuple[CIDRBlock, ...] = key(
        "serviceExternalIPs", listed(nested(CIDRBlock)), default=()
    )
    service_cluster_ips: tuple[CIDRBlock, ...] = key(
        "serviceClusterIPs", listed(nested(CIDRBlock)), default=()
    )
    communities: tuple[Community, ...] = key("communities", listed(nested(Community)), default=())
    prefix_advertisements: tuple[PrefixAdvertisement, ...] = key(
        "prefixAdvertisements", listed(nested(PrefixAdvertisement)), default=()
    )
    listen_port: int | None = key("listenPort", number(1, 65535), default=None)
    node_mesh_password: Mapping[str, Any] | None = key("nodeMeshPassword", document_of, default=None)
    """`{"secretKeyRef": {"name": …, "key": …}}`."""
    node_mesh_max_restart_time: str | None = key("nodeMeshMaxRestartTime", duration, default=None)
    bind_mode: str | None = key("bindMode", choice("None", "NodeIP"), default=None)
    ignored_interfaces: tuple[str, ...] = key("ignoredInterfaces", listed(interface_pattern), default=())
    program_cluster_routes: str | None = key(
        "programClusterRoutes", choice("Enabled", "EnabledNoEncapOnly", "Disabled"), default=None
    )
    """Carried for tools: FelixConfiguration's alone decides."""
    rest: Mapping[str, Any] = rest(crds.fields_of("BGPConfiguration"))


DEFAULTS = BGPConfigurationSpec(
    log_severity_screen="Info",
    node_to_node_mesh_enabled=True,
    as_number=64512,
    listen_port=179,
    bind_mode="None",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BGPConfiguration(Resource):
    KIND: ClassVar[str] = "BGPConfiguration"
    SPEC: ClassVar[type] = BGPConfigurationSpec

    spec: BGPConfigurationSpec

    def refusals(self) -> list[Refusal]:
        spec, found = self.spec, []
        if self.name != "default" and not self.name.startswith("node."):
            reason = "the name must be 'default' or 'node.<nodename>'"
            found.append(Refusal("metadata.name", reason, self.name))
        if self.name != "default" and spec.node_to_node_mesh_enabled is not None:
            reason = "Cannot set nodeToNodeMeshEnabled on a non default BGP Configuration."
            found.append(Refusal("spec.nodeToNodeMeshEnabled", reason, spec.node_to_node_mesh_enabled))
        if self.name != "default" and spec.as_number is not None:
            reason = "Cannot set ASNumber on a non default BGP Configuration."
            found.append(Refusal("spec.asNumber", reason, spec.as_number))
        if spec.node_to_node_mesh_enabled is False:
            reason = "spec.{} cannot be set if spec.NodeToNodeMesh is disabled"
            if spec.node_mesh_password is not None:
                found.append(Refusal("spec.nodeMeshPassword", reason.format("NodeMeshPassword"), ""))
            if spec.node_mesh_max_restart_time is not None:
                value = spec.node_mesh_max_restart_time
                found.append(
                    Refusal("spec.nodeMeshMaxRestartTime", reason.format("NodeMeshMaxRestartTime"), value)
                )
        if spec.as_number == 0:
            found.append(Refusal("spec.asNumber", "must be between 1 and 4294967295", spec.as_number))
        return found + self._communities()

    def _communities(self) -> list[Refusal]:
        named = {community.name for community in self.spec.communities}
        found = [
            Refusal(
                f"spec.communities[{index}].value",
                f"invalid community value: {COMMUNITY_FORM}",
                community.value,
            )
            for index, community in enumerate(self.spec.communities)
            if not is_community(community.value)
        ]
        for index, advertisement in enumerate(self.spec.prefix_advertisements):
            found += [
                Refusal(
                    f"spec.prefixAdvertisements[{index}].communities",
                    f"no such name; a value {COMMUNITY_FORM}",
                    text_,
                )
                for text_ in advertisement.communities
                if text_ not in named and not is_community(text_)
            ]
        return found


def effective(*configurations: BGPConfiguration | None) -> BGPConfigurationSpec:
    """The fields in force: each later configuration wins, field by field, over earlier ones and defaults.

    Called with `default` and then `node.<name>`, either of which may be absent.
    """
    spec = DEFAULTS
    for configuration in configurations:
        if configuration is not None:
            given = ((f.name, getattr(configuration.spec, f.name)) for f in fields(configuration.spec))
            spec = replace(spec, **{name: value for name, value in given if value not in (None, "", (), {})})
    return replace(spec, log_severity_screen=str(spec.log_severity_screen).capitalize())
