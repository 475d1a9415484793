"""The listeners that the echo server's arguments and variables ask for, in its own words and in agnhost's.

Own: `--http-port`, `--tcp-port`, `--udp-port` or HTTP_PORT, TCP_PORT, UDP_PORT, 0 for none; `--tcp`, `--udp`
and `--sctp` with ports, comma between. agnhost's: `netexec`, `serve-hostname`, `porter`, `pause`, with the
flags that choose ports.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

GREETING, HTTP, ANY, HOSTNAME = "greeting", "http", "any", "hostname"
_DEFAULTS = (("tcp", HTTP, "http", 8080), ("tcp", GREETING, "tcp", 9000), ("udp", ANY, "udp", 9000))
_PORTER = {"SERVE_PORT_": "tcp", "SERVE_SCTP_PORT_": "sctp"}
_YES, _NO = ("", "true", "1"), ("false", "0")


class Listener:
    """A port, and what is said there."""

    __slots__ = ("is_default", "port", "protocol", "speaks", "text")

    def __init__(
        self, protocol: str, port: int, speaks: str, *, text: str = "", is_default: bool = False
    ) -> None:
        self.protocol = protocol
        self.port = port
        self.speaks = speaks
        """GREETING: a JSON line, then an echo; HTTP; ANY: HTTP or an echo, as the client does; HOSTNAME."""
        self.text = text
        """The whole answer to any request, where it is not empty."""
        self.is_default = is_default
        """Nobody asked for it: it is left out where another program has the port."""

    def __str__(self) -> str:
        return f"{'http' if self.speaks == HTTP and self.protocol == 'tcp' else self.protocol} {self.port}"


def listeners(argv: Sequence[str], env: Mapping[str, str]) -> list[Listener]:
    """Return what to serve; ValueError names the word that is wrong and says what is right."""
    first = argv[0] if argv and not argv[0].startswith("-") else ""
    if first not in _COMMANDS:
        raise ValueError(f"{first}: no command; there: {', '.join(filter(None, _COMMANDS))}, or flags alone")
    known, make = _COMMANDS[first]
    found: dict[tuple[str, int], Listener] = {}
    for listener in make(_flags(argv[1:] if first else argv, known, first), env):
        found.setdefault((listener.protocol, listener.port), listener)
    return list(found.values())


def _flags(argv: Sequence[str], known: Mapping[str, bool], command: str) -> dict[str, str]:
    """Read `--name=value`, `--name value` and, of a switch, `--name`; `known`: whether each is a switch."""
    found: dict[str, str] = {}
    words = list(argv)
    while words:
        name, equals, value = words.pop(0).partition("=")
        if name.removeprefix("--") not in known or not name.startswith("--"):
            there = ", ".join(f"--{it}" for it in known) or "none"
            raise ValueError(f"{name}: no flag{f' of {command}' if command else ''}; there: {there}")
        if not equals and not known[name.removeprefix("--")]:
            if not words:
                raise ValueError(f"{name}: a value is missing")
            value = words.pop(0)
        found[name.removeprefix("--")] = value
    return found


def _own(flags: Mapping[str, str], env: Mapping[str, str]) -> Iterator[Listener]:
    for protocol, speaks, kind, usual in _DEFAULTS:
        flag, variable = f"{kind}-port", f"{kind.upper()}_PORT"
        said = flags.get(flag, env.get(variable))
        name = f"--{flag}" if flag in flags else variable
        port = usual if said is None else _port(name, said, least=0)
        if port:
            yield Listener(protocol, port, speaks, is_default=said is None)
    for protocol in ("tcp", "udp", "sctp"):
        for word in flags.get(protocol, "").split(","):
            if word:
                yield Listener(protocol, _port(f"--{protocol}", word), ANY)


def _netexec(flags: Mapping[str, str], env: Mapping[str, str]) -> Iterator[Listener]:
    yield Listener("tcp", _port("--http-port", flags.get("http-port", "8080")), HTTP)
    for protocol, usual in (("udp", "8081"), ("sctp", "-1")):
        value = flags.get(f"{protocol}-port", usual)
        if value != "-1":
            yield Listener(protocol, _port(f"--{protocol}-port", value), ANY)


def _serve_hostname(flags: Mapping[str, str], env: Mapping[str, str]) -> Iterator[Listener]:
    port = _port("--port", flags.get("port", "9376"))
    if _switch(flags, "udp", "false"):
        yield Listener("udp", port, HOSTNAME)
    if _switch(flags, "tcp", "false"):
        yield Listener("tcp", port, HOSTNAME)
    elif _switch(flags, "http", "true"):
        yield Listener("tcp", port, HTTP, text=HOSTNAME)


def _porter(flags: Mapping[str, str], env: Mapping[str, str]) -> Iterator[Listener]:
    for name, value in env.items():
        for prefix, protocol in _PORTER.items():
            if name.startswith(prefix):
                port = _port(name, name.removeprefix(prefix))
                yield Listener(protocol, port, HTTP if protocol == "tcp" else ANY, text=value)


def _pause(flags: Mapping[str, str], env: Mapping[str, str]) -> Iterator[Listener]:
    return iter(())


_COMMANDS = {
    "": (dict.fromkeys(("http-port", "tcp-port", "udp-port", "tcp", "udp", "sctp"), False), _own),
    "netexec": (dict.fromkeys(("http-port", "udp-port", "sctp-port"), False), _netexec),
    "serve-hostname": ({"port": False, "tcp": True, "udp": True, "http": True}, _serve_hostname),
    "porter": ({}, _porter),
    "pause": ({}, _pause),
}


def _switch(flags: Mapping[str, str], name: str, usual: str) -> bool:
    value = flags.get(name, usual).lower()
    if value not in (*_YES, *_NO):
        raise ValueError(f"--{name}={value}: write true or false")
    return value in _YES


def _port(name: str, value: str, least: int = 1) -> int:
    if not (value.isascii() and value.isdigit()) or not least <= int(value[:6]) <= 65535:
        raise ValueError(f"{name}={value[:20]}: a port is a number from {least} to 65535")
    return int(value)
