"""Cases of ports and protocols, alone and with peers."""

from __future__ import annotations

from support.policy_cases.steps import DIRECTIONS, case, policy, put, rule
from support.policy_words import EVERYWHERE, block, pods, port, spaces

UDP, SCTP = {"protocol": "UDP"}, {"protocol": "SCTP"}
PORTS = {
    "no entry": [],
    "80": [port(80)],
    "80 and 81": [port(80), port(81)],
    "82, that nobody serves": [port(82)],
    "TCP": [{"protocol": "TCP"}],
    "UDP": [UDP],
    "SCTP": [SCTP],
    "an empty entry": [{}],
    "80 of UDP": [port(80, "UDP")],
    "81 of SCTP": [port(81, "SCTP")],
    "a name": [port("serve-81-tcp")],
    "a name of UDP": [port("serve-80-udp", "UDP")],
    "a name of UDP for TCP": [port("serve-80-udp", "TCP")],
    "a name of nobody": [port("nobody")],
    "a name of nobody and 80": [port("nobody"), port(80)],
    "a name and another number": [port("serve-80-tcp"), port(81)],
    "a name and its own number": [port("serve-80-tcp"), port(80)],
    "names of both protocols": [port("serve-80-tcp"), port("serve-81-udp", "UDP")],
    "80 to 81": [port(80, end=81)],
    "1 to 80": [port(1, end=80)],
    "81 to 65535 of UDP": [port(81, "UDP", end=65535)],
    "81 to 81": [port(81, end=81)],
    "two ranges that overlap": [port(70, end=80), port(79, end=80)],
    "80 of TCP and 81 of UDP": [port(80), port(81, "UDP")],
    "80 of TCP and all of UDP": [port(80), UDP],
    "80 of all protocols": [port(80), port(80, "UDP"), port(80, "SCTP")],
    "more than one rule of iptables holds": [port(number) for number in range(50, 82, 2)],
}
PEERS = {
    "pods a everywhere": EVERYWHERE | pods("a"),
    "namespace y": spaces("y"),
    "all addresses but one": block("10.244.0.0/16", "{y/a}/32"),
}
WITH_PEERS = ("80", "UDP", "a name", "80 to 81", "80 of TCP and 81 of UDP")
CASES = (
    *(
        case(f"{direction} by ports: {name}", put(policy(direction, {"ports": ports})))
        for direction in DIRECTIONS
        for name, ports in PORTS.items()
    ),
    *(
        case(
            f"{direction} of {whom} by ports: {name}",
            put(policy(direction, rule(direction, peer, ports=PORTS[name]))),
        )
        for direction in DIRECTIONS
        for whom, peer in PEERS.items()
        for name in WITH_PEERS
    ),
    *(
        case(
            f"{direction} of one peer by one port and of another by another",
            put(
                policy(
                    direction,
                    rule(direction, spaces("y"), ports=[port(80)]),
                    rule(direction, spaces("z"), ports=[port(81, "UDP")]),
                )
            ),
        )
        for direction in DIRECTIONS
    ),
)
