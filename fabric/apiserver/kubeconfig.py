"""The kubeconfig of a cluster's administrator: everything inside, no other file needed."""

from __future__ import annotations

import base64

import yaml

from fabric.apiserver.certificates import Pki


def kubeconfig(cluster: str, server: str, pki: Pki) -> str:
    """The YAML for `kubectl`, with one context, `fabric-<cluster>`; `server` is an https URL."""
    name = f"fabric-{cluster}"
    user = {
        "client-certificate-data": _base64(pki.admin.certificate),
        "client-key-data": _base64(pki.admin.key),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {"server": server, "certificate-authority-data": _base64(pki.ca.certificate)},
            }
        ],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
        "preferences": {},
    }
    return yaml.safe_dump(config, sort_keys=False)


def _base64(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
