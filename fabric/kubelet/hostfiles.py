"""The three files that the kubelet writes for a pod's resolver: hosts, hostname, resolv.conf. Pure text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fabric.api.objects import Object
from fabric.kubelet.podspec import host_network, hostname, spec_of

SEARCH_MAX = 32
NAMESERVERS_MAX = 3
OPTIONS = ("ndots:5",)

_HEAD = """\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


def hosts(pod: Object, ips: Sequence[str], cluster_domain: str, node_name: str) -> str:
    """/etc/hosts: the pod's own addresses with its names, then `hostAliases`."""
    name = node_name if host_network(pod) else hostname(pod)
    subdomain = spec_of(pod).get("subdomain")
    names = [name]
    if subdomain and not host_network(pod):
        namespace = pod["metadata"].get("namespace", "")
        names.insert(0, f"{name}.{subdomain}.{namespace}.svc.{cluster_domain}")
    lines = ["\t".join((ip, *names)) for ip in ips]
    aliases = spec_of(pod).get("hostAliases") or ()
    if aliases:
        lines += ["", "# Entries added by HostAliases."]
        lines += ["\t".join((alias["ip"], *(alias.get("hostnames") or ()))) for alias in aliases]
    return _HEAD + "".join(f"{line}\n" for line in lines)


def resolv_conf(pod: Object, cluster_dns: Sequence[str], cluster_domain: str) -> str:
    """/etc/resolv.conf as `dnsPolicy` and `dnsConfig` say; empty when there is no server to name."""
    policy = spec_of(pod).get("dnsPolicy") or "ClusterFirst"
    by_cluster = policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not host_network(pod))
    servers: list[str] = []
    search: list[str] = []
    options: dict[str, str | None] = {}
    if by_cluster and cluster_dns:
        namespace = pod["metadata"].get("namespace", "")
        servers = list(cluster_dns)
        search = [f"{namespace}.svc.{cluster_domain}", f"svc.{cluster_domain}", cluster_domain]
        options = dict(_option(text) for text in OPTIONS)
    own: Object = spec_of(pod).get("dnsConfig") or {}
    servers += [str(server) for server in own.get("nameservers") or ()]
    search += [str(domain) for domain in own.get("searches") or ()]
    options |= _own_options(own)
    return _resolv_text(list(dict.fromkeys(servers)), list(dict.fromkeys(search)), options)


def _own_options(config: Object) -> dict[str, str | None]:
    """An option without a name says nothing to a resolver."""
    return {each["name"]: each.get("value") for each in config.get("options") or () if each.get("name")}


def _resolv_text(servers: Sequence[str], search: Sequence[str], options: Mapping[str, str | None]) -> str:
    lines = [f"search {' '.join(search[:SEARCH_MAX])}"] if search else []
    lines += [f"nameserver {server}" for server in servers[:NAMESERVERS_MAX]]
    if options:
        words = (name if value is None else f"{name}:{value}" for name, value in options.items())
        lines.append(f"options {' '.join(words)}")
    return "".join(f"{line}\n" for line in lines)


def _option(text: str) -> tuple[str, str | None]:
    name, _, value = text.partition(":")
    return name, value or None
