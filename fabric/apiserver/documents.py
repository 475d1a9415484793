"""The paths that are not objects: health, version, discovery and OpenAPI."""

from __future__ import annotations

from aiohttp import web

from fabric.api.kinds import KindTable
from fabric.api.objects import Object
from fabric.apiserver import discovery, negotiation, schema
from fabric.apiserver.openapi import OpenApi
from fabric.errors import MethodNotAllowed

_HEALTH = ("/healthz", "/livez", "/readyz")
_DISCOVERY_OFFERS = (negotiation.PLAIN, *discovery.AGGREGATED)


class Documents:
    """Answers for a table of kinds; kinds added later show up in the next answer."""

    def __init__(self, kinds: KindTable) -> None:
        self._kinds = kinds
        self._openapi = OpenApi(kinds)

    def answer(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """The document at the request's path, or None when there is none."""
        path = request.path.rstrip("/") or "/"
        found = self._health(path) or self._openapi_at(request, path) or self._discovery_at(request, path)
        if found is not None and request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        return found

    def _health(self, path: str) -> web.Response | None:
        if path.startswith(_HEALTH) and "/" + path.split("/")[1] in _HEALTH:
            return web.Response(text="ok")
        return None

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
            whole = discovery.api_versions() if path == "/api" else discovery.api_group_list(self._kinds)
            return _json(whole)
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


def _paths(kinds: KindTable) -> list[str]:
    found = ["/api", "/apis", *_HEALTH, "/openapi/v2", "/openapi/v3", "/version"]
    for group, versions in discovery.group_versions(kinds).items():
        root = f"/apis/{group}" if group else "/api"
        found += [f"{root}/{version}" for version in versions]
    return sorted(found)


def _version() -> Object:
    version = schema.version()
    major, minor, _ = version.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": version,
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
