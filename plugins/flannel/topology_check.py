"""The check of a topology's `network` section, as far as flannel can know before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fabric.errors import plural
from fabric.plugin import host_local
from fabric.plugin.contract import NetworkConfig, NodeFacts
from flannel.backend import Backend, is_adjacent, public_ips
from flannel.backends import BACKENDS, OPTIONS
from flannel.net_conf import ENDPOINTS, NetConf, check, document

MTU_MIN = 576
"""The least that IPv4 demands of a link (RFC 791); IPv6 demands 1280."""
MTU_MIN_V6 = 1280
PODS_MIN = 1


def problems(config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Sequence[tuple[str, str]]:
    """Return (path below `network`, or `/podCIDR`, and what is wrong and what is allowed)."""
    conf, found = check(document(config, OPTIONS), OPTIONS)
    if conf is None:
        return tuple((_path(key, config), what) for key, what in found)
    backend = BACKENDS[conf.backend]
    return (
        *_endpoints(config),
        *_room(conf, config, nodes),
        *_mtu(conf, backend, config, nodes),
        *_families(conf, nodes),
        *_adjacency(conf, backend, nodes),
    )


def _path(key: str, config: NetworkConfig) -> str:
    """Return the place of a key of net-conf.json in the topology, as the user spelled it."""
    if key == "Backend.Type":
        return "backend"
    if key in ("Network", "IPv6Network"):
        return "/podCIDR"
    name = key.removeprefix("Backend.")
    given = next((given for given in config.options if given.lower() == name.lower()), "")
    if not given and name.endswith("SubnetLen"):
        return "/podCIDR"  # The length follows from the range.
    return f"options.{given or name}"


def _endpoints(config: NetworkConfig) -> Iterator[tuple[str, str]]:
    given = config.options.get(ENDPOINTS, True)
    if not isinstance(given, bool):
        yield f"options.{ENDPOINTS}", f"{given!r} is neither true nor false"


def _room(conf: NetConf, config: NetworkConfig, nodes: Sequence[NodeFacts]) -> Iterator[tuple[str, str]]:
    for range_ in conf.ranges:
        key = "SubnetLen" if range_.family == 4 else "IPv6SubnetLen"
        if range_.size < len(nodes):
            yield (
                _path(key, config),
                f"{range_.network} has {plural(range_.size, 'subnet')} of /{range_.subnet_len} "
                f"for {plural(len(nodes), 'node')}: "
                f"use a larger podCIDR or {key}",
            )
        if host_local.capacity(range_.first) < PODS_MIN:
            yield _path(key, config), f"a subnet of /{range_.subnet_len} has no address for a pod"


def _mtu(
    conf: NetConf, backend: Backend, config: NetworkConfig, nodes: Sequence[NodeFacts]
) -> Iterator[tuple[str, str]]:
    least = MTU_MIN_V6 if any(range_.family == 6 for range_ in conf.ranges) else MTU_MIN
    most = min((backend.mtu(conf, facts) for facts in nodes), default=0)
    if nodes and most < least:
        yield "mtu", f"backend {conf.backend} leaves pods an MTU of {most}; at least {least} is needed"
    elif nodes and config.mtu and not least <= config.mtu <= most:
        yield "mtu", f"{config.mtu} does not fit: from {least} to {most} with backend {conf.backend}"


def _families(conf: NetConf, nodes: Sequence[NodeFacts]) -> Iterator[tuple[str, str]]:
    for facts in nodes:
        if len(public_ips(conf, facts)) < len(conf.ranges):
            have = ", ".join(map(str, facts.addresses)) or "none"
            networks = ", ".join(map(str, conf.networks))
            what = f"{facts.name} needs an underlay address of each family of {networks}; it has {have}"
            yield "plugin", what


def _adjacency(conf: NetConf, backend: Backend, nodes: Sequence[NodeFacts]) -> Iterator[tuple[str, str]]:
    if backend.type != "host-gw":
        return
    for facts in nodes[1:]:
        if any(not is_adjacent(nodes[0], ip) for ip in public_ips(conf, facts)):
            yield (
                "backend",
                f"host-gw needs all nodes on one network; {facts.name} is not on that of {nodes[0].name}: "
                "use vxlan (DirectRouting spares the encapsulation where it can)",
            )
