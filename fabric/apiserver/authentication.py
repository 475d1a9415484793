"""Authentication: users hold a client certificate of the cluster's CA, or a bearer token.

The unix socket is trusted: whoever may open it is root's peer. Over TLS the certificate's CN is the
user and its O's are the groups. Nobody else gets further than the health and version paths.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fabric.errors import Forbidden, Unauthorized

OPEN_PATHS = frozenset(("/healthz", "/livez", "/readyz", "/version", "/version/"))
"""Served to anybody."""


@dataclass(frozen=True, slots=True)
class User:
    """The user that a request comes from, and the user's groups."""

    name: str
    groups: tuple[str, ...] = ()


def authenticate(
    peer_certificate: Mapping[str, Any] | None, authorization: str, tokens: Mapping[str, str]
) -> User:
    """Return who holds the certificate (as `ssl.getpeercert` shows it, verified) or the token.

    `tokens` maps tokens to user names. Unauthorized when neither is good.
    """
    if peer_certificate:
        return _user_of(peer_certificate)
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "bearer":
        # Bytes of a header that are no UTF-8 arrive as surrogates.
        given = token.strip().encode(errors="surrogateescape")
        for known, name in tokens.items():
            if hmac.compare_digest(known.encode(), given):
                return User(name, ("system:authenticated",))
    raise Unauthorized("Unauthorized")


def refuse_impersonation(headers: Mapping[str, str]) -> None:
    """Forbidden for who asks in somebody else's name: answering as the asker would be a lie."""
    asked = next((name for name in headers if name.lower().startswith("impersonate-")), None)
    if asked is not None:
        raise Forbidden(
            f"impersonation is not served (header {asked}; --as, --as-group and --as-uid of kubectl): "
            "ask as yourself"
        )


def _user_of(certificate: Mapping[str, Any]) -> User:
    fields = [pair for rdn in certificate.get("subject", ()) for pair in rdn]
    names = [value for key, value in fields if key == "commonName"]
    groups = tuple(value for key, value in fields if key == "organizationName")
    if not names:
        raise Unauthorized("Unauthorized")
    return User(names[0], (*groups, "system:authenticated"))
