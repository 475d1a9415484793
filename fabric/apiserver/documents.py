"""The paths that are not objects: health, version, discovery and OpenAPI."""

from __future__ import annotations

from aiohttp import web

from fabric.api.kinds import KindTable
from fabric.api.objects import Object
from fabric.apiserver import discovery, negotiation
from fabric.apiserver.openapi import OpenApi
from fabric.errors import MethodNotAllowed

VERSION = "v1.33.0"
"""What clients are told: the newest that kubectl 1.32 takes for one minor version away from its own."""
_HEALTH = ("/healthz", "/livez", "/readyz")
_CHECKS = ("ping", "log", "etcd")
_DISCOVERY_OFFERS = (negotiation.PLAIN, *discovery.AGGREGATED)


class Documents:
    """The documents about a table of kinds; a kind added later shows up in the next answer."""

    def __init__(self, kinds: KindTable) -> None:
        self._kinds = kinds
        self._openapi = OpenApi(kinds)

    def answer(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """The document at the request's path, or None when there is none."""
        path = request.path.rstrip("/") or "/"
        found = (
            self._health(request, path)
            or self._openapi_at(request, path)
            or self._discovery_at(request, path)
        )
        if found is not None and request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        return found

    def _health(self, request: web.BaseRequest, path: str) -> web.Response | None:
        """`/readyz`, one check as `/readyz/etcd`, or all told one by one with `?verbose`."""
        whole, _, check = path.removeprefix("/").partition("/")
        if f"/{whole}" not in _HEALTH or check not in ("", *_CHECKS):
            return None
        if check or "verbose" not in request.query:
            return web.Response(text="ok")
        excluded = request.query.getall("exclude", ())
        lines = [f"[+]{name} {'excluded: ok' if name in excluded else 'ok'}" for name in _CHECKS]
        return web.Response(text="\n".join([*lines, f"{whole} check passed\n"]))

    def _openapi_at(self, request: web.BaseRequest, path: str) -> web.Response | None:
        if not path.startswith("/openapi/"):
            return None
        found = self._openapi.document(path.removeprefix("/openapi/"), request.headers.get("Accept", ""))
        if found is None:
            return None
        headers = {"ETag": found.etag, "Vary": "Accept", "Content-Type": found.content_type}
        if request.headers.get("If-None-Match", "") == found.etag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=found.body, headers=headers)

    def _discovery_at(self, request: web.BaseRequest, path: str) -> web.Response | None:
        if path in ("/api", "/apis"):
            media = negotiation.choose(request.headers.get("Accept", ""), _DISCOVERY_OFFERS)
            if media.as_:
                return _json(discovery.aggregated(self._kinds, media, core=path == "/api"), media.header())
            if path == "/apis":
                return _json(discovery.api_group_list(self._kinds))
            return _json(discovery.api_versions(_address_of(request)))
        found = _legacy(self._kinds, path)
        return _json(found) if found is not None else None


def _legacy(kinds: KindTable, path: str) -> Object | None:
    match path.strip("/").split("/"):
        case [""]:
            return {"paths": _paths(kinds)}
        case ["version"]:
            return _version()
        case ["api", version]:
            return discovery.api_resource_list(kinds, "", version)
        case ["apis", group]:
            return discovery.api_group(kinds, group)
        case ["apis", group, version]:
            return discovery.api_resource_list(kinds, group, version)
    return None


def _address_of(request: web.BaseRequest) -> str:
    """Host and port that the connection came in by; the Host header where that is no TCP."""
    name = request.get_extra_info("sockname")
    if isinstance(name, tuple):
        return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
    return str(request.headers.get("Host", ""))


def _paths(kinds: KindTable) -> list[str]:
    found = ["/api", "/apis", *_HEALTH, "/openapi/v2", "/openapi/v3", "/version"]
    for group, versions in discovery.group_versions(kinds).items():
        root = f"/apis/{group}" if group else "/api"
        found += [f"{root}/{version}" for version in versions]
    return sorted(found)


def _version() -> Object:
    major, minor, _ = VERSION.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "linux/amd64",
    }


def _json(document: Object, content_type: str = negotiation.JSON) -> web.Response:
    headers = {"Content-Type": content_type, "Vary": "Accept"}
    return web.Response(body=negotiation.encode(document), headers=headers)
