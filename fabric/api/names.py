"""The rules of names and labels, with the messages of k8s.io/apimachinery/pkg/util/validation.

Each function returns what is wrong with a text, one message a broken rule; none for a good one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Rule = Callable[[str], Iterable[str]]
"""Returns the messages of the rules that a text breaks."""

LABEL_BYTES_MAX = 63
SUBDOMAIN_BYTES_MAX = 253
PORT_MAX = 65535

_EMPTY = "must be non-empty"
_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"


def length_fault(bytes_max: int) -> str:
    return f"must be no more than {bytes_max} bytes"


def range_fault(low: int, high: int) -> str:
    return f"must be between {low} and {high}, inclusive"


def _regex_fault(message: str, regex: str, *examples: str) -> str:
    shown = "".join(f"{' or ' * bool(i)}'{text}', " for i, text in enumerate(examples))
    return f"{message} (e.g. {shown}regex used for validation is '{regex}')"


def _by_regex(message: str, regex: str, *examples: str, bytes_max: int = 0) -> Rule:
    """A rule of a regular expression and, unless it is 0, a greatest length."""
    compiled = re.compile(regex, re.ASCII)
    fault = _regex_fault(message, regex, *examples)

    def rule(text: str) -> list[str]:
        too_long = (
            [length_fault(bytes_max)] if bytes_max and len(text.encode(errors="replace")) > bytes_max else []
        )
        return too_long if compiled.fullmatch(text) else [*too_long, fault]

    return rule


dns_label_faults = _by_regex(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
    "start and end "
    "with an alphanumeric character",
    _DNS_LABEL,
    "my-name",
    "123-abc",
    bytes_max=LABEL_BYTES_MAX,
)
dns_subdomain_faults = _by_regex(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start "
    "and end with an alphanumeric character",
    rf"{_DNS_LABEL}(\.{_DNS_LABEL})*",
    "example.com",
    bytes_max=SUBDOMAIN_BYTES_MAX,
)
label_value_faults = _by_regex(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start "
    "and end with an alphanumeric character",
    f"({_QUALIFIED})?",
    "MyValue",
    "my_value",
    "12345",
    bytes_max=LABEL_BYTES_MAX,
)
http_header_faults = _by_regex(
    "a valid HTTP header must consist of alphanumeric characters or '-'", "[-A-Za-z0-9]+", "X-Header-Name"
)
_name_part_faults = _by_regex(
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character",
    _QUALIFIED,
    "MyName",
    "my.name",
    "123-abc",
    bytes_max=LABEL_BYTES_MAX,
)
_config_key_faults = _by_regex(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    "[-._a-zA-Z0-9]+",
    "key.name",
    "KEY_NAME",
    "key-name",
    bytes_max=SUBDOMAIN_BYTES_MAX,
)
_dns_search_faults = _by_regex(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start "
    "and end with an alphanumeric character",
    r"[a-z0-9_]([-_a-z0-9]*[a-z0-9])?(\.[a-z0-9_]([-_a-z0-9]*[a-z0-9])?)*",
    "example.com",
    bytes_max=SUBDOMAIN_BYTES_MAX,
)


def qualified_name_faults(text: str) -> list[str]:
    """A label's key: a name, or a DNS subdomain, `/` and a name."""
    prefix, slash, name = text.partition("/")
    if "/" in name:
        rule = next(iter(_name_part_faults("")))
        return [
            f"a qualified name {rule} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')"
        ]
    if not slash:
        name = prefix
    faults: list[str] = []
    if slash and not prefix:
        faults.append(f"prefix part {_EMPTY}")
    elif slash:
        faults += [f"prefix part {fault}" for fault in dns_subdomain_faults(prefix)]
    if not name:
        faults.append(f"name part {_EMPTY}")
    return faults + [f"name part {fault}" for fault in _name_part_faults(name)]


def config_key_faults(text: str) -> list[str]:
    """A key of a ConfigMap or Secret becomes a file."""
    faults = list(_config_key_faults(text))
    if text in (".", ".."):
        return [*faults, f"must not be '{text}'"]
    return [*faults, "must not start with '..'"] if text.startswith("..") else faults


def env_name_faults(text: str) -> list[str]:
    """The relaxed rule of Kubernetes 1.34 for names of environment variables."""
    faults = [] if text else [f"environment variable name {_EMPTY}"]
    if any(not " " <= letter <= "~" or letter == "=" for letter in text):
        faults.append(
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
        )
    return faults


_PORT_LETTERS = re.compile("[-a-z0-9]+")


def port_name_faults(text: str) -> list[str]:
    """The name of a port: an IANA service name (RFC 6335)."""
    faults = []
    if len(text) > 15:
        faults.append("must be no more than 15 characters")
    if not _PORT_LETTERS.fullmatch(text):
        faults.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        faults.append("must contain at least one letter (a-z)")
    if "--" in text:
        faults.append("must not contain consecutive hyphens")
    if text[:1] == "-" or text[-1:] == "-":
        faults.append("must not begin or end with a hyphen")
    return faults


def dns_search_faults(text: str) -> Iterable[str]:
    """A search domain of resolv.conf: also `.`, a trailing dot and underscores, since Kubernetes 1.34."""
    return () if text == "." else _dns_search_faults(text.removesuffix("."))


def ip_faults(text: str) -> list[str]:
    try:
        ip_address(text)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"] if "%" in text else []


_NO_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def cidr_faults(text: str) -> list[str]:
    """A subnet, written with its first address."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return [_NO_CIDR]
    if "/" not in text:
        return [_NO_CIDR]
    host_bits = ip_address(text.partition("/")[0]) != network.network_address
    return [f"must not have bits set in address beyond prefix length, (e.g. {network})"] if host_bits else []


def loose_cidr_faults(text: str) -> list[str]:
    """A subnet as older fields take it: with host bits, and with zeros in front of numbers."""
    try:
        loose_network(text)
    except ValueError:
        return [_NO_CIDR]
    return [] if "/" in text else [_NO_CIDR]


def loose_network(text: str) -> IPv4Network | IPv6Network:
    """The subnet that such a text means: bits behind its prefix are cleared. Raises ValueError."""
    return ip_network(without_leading_zeros(text), strict=False)


def without_leading_zeros(text: str) -> str:
    """An IPv4 address or subnet as it is written today: 010.0.0.0/8 is 10.0.0.0/8, as Go read it once."""
    address, slash, length = text.partition("/")
    if ":" in address:
        return text
    return ".".join(re.sub("^0+(?=[0-9])", "", part) for part in address.split(".")) + slash + length


def path_segment_faults(text: str) -> list[str]:
    """A name that must fit into one part of a URL's path."""
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{letter}'" for letter in "/%" if letter in text]
