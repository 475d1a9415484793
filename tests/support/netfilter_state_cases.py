"""What matches of a packet's surroundings take: its connection, the routes, and its mark."""

from __future__ import annotations

from support.netfilter_packets import (
    ACK80,
    ANSWER53,
    ECHO,
    ECHO_REPLY,
    ECHO_V6,
    LOCAL53,
    LOCAL80,
    OWN53,
    SYN80,
    SYNACK80,
    UDP53,
    UDP53_V6,
    UNREACHABLE,
    case,
)

_SCTP = "cali1 sctp 10.1.0.2 1000 > 10.2.0.2 80"
_GRE = "cali1 47 10.1.0.2 > 10.2.0.2"
_UNKNOWN_ICMP = "cali1 icmp/3/1 10.1.0.2 > 10.2.0.2 about cali1 udp 10.2.0.2 9 > 10.1.0.2 9"
_STATES = "\n".join(
    f"-A FORWARD -m conntrack --ctstate {name}"
    for name in ("NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED", "SNAT", "DNAT")
)
STATE_CASES = {
    "states-of-udp": case(_STATES, (UDP53, "eth1"), (UDP53, "eth1"), (ANSWER53, "cali1"), (UDP53, "eth1")),
    "states-of-tcp": case(
        _STATES,
        (SYN80, "eth1"),
        (SYN80, "eth1"),
        (SYNACK80, "cali1"),
        (ACK80, "eth1"),
        (SYN80, "eth1"),
        ("eth1 tcp/FIN,ACK 10.2.0.2 80 > 10.1.0.2 1000", "cali1"),
        ("cali1 tcp/RST 10.1.0.2 1000 > 10.2.0.2 80", "eth1"),
    ),
    "tcp-without-a-beginning": case(
        _STATES,
        (SYNACK80, "cali1"),
        ("cali1 tcp/RST 10.1.0.2 1000 > 10.2.0.2 80", "eth1"),
        ("cali1 tcp/FIN 10.1.0.2 1000 > 10.2.0.2 80", "eth1"),
        (ACK80, "eth1"),
        ("eth1 tcp/ACK 10.2.0.2 80 > 10.1.0.2 1000", "cali1"),
    ),
    "states-of-icmp": case(
        _STATES, (ECHO_REPLY, "cali1"), (ECHO, "eth1"), (ECHO_REPLY, "cali1"), (ECHO, "eth1")
    ),
    "states-of-others": case(
        _STATES, (_GRE, "eth1"), ("eth1 47 10.2.0.2 > 10.1.0.2", "cali1"), (_SCTP, "eth1")
    ),
    "related": case(
        _STATES, (UNREACHABLE, "cali1"), (UDP53, "eth1"), (UNREACHABLE, "cali1"), (_UNKNOWN_ICMP, "eth1")
    ),
    "related-v6": case(
        _STATES,
        (UDP53_V6, "eth1"),
        (f"eth1 icmpv6/1/4 fd02::2 > fd01::2 about {UDP53_V6}", "cali1"),
        ("cali1 icmpv6/129/0 fd01::2 7 > fd02::2", "eth1"),
        (ECHO_V6, "eth1"),
        family=6,
    ),
    "a-dropped-packet-begins-nothing": case(
        _STATES + "\n-A FORWARD -i cali1 -j DROP", (UDP53, ""), (ANSWER53, "cali1"), (UDP53, "")
    ),
    "established-only": case(
        "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -i eth1 -j DROP",
        (ANSWER53, ""),
        (UDP53, "eth1"),
        (ANSWER53, "cali1"),
    ),
    "not-a-state": case(
        "-A FORWARD -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP", (UDP53, ""), (UDP53, "")
    ),
    "untracked": case(
        "*raw\n-A PREROUTING -p udp -j CT --notrack\n*filter\n"
        + _STATES
        + "\n-A FORWARD -m conntrack ! --ctstate NEW",
        (UDP53, "eth1"),
        (ANSWER53, "cali1"),
        (ECHO, "eth1"),
    ),
    "status": case(
        "-A FORWARD -m conntrack --ctstatus CONFIRMED\n-A FORWARD -m conntrack ! --ctstatus SEEN_REPLY\n"
        "-A FORWARD -m conntrack --ctstatus SEEN_REPLY\n-A FORWARD -m conntrack --ctstatus ASSURED",
        (SYN80, "eth1"),
        (SYN80, "eth1"),
        (SYNACK80, "cali1"),
        (ACK80, "eth1"),
        (ACK80, "eth1"),
        (ECHO_REPLY, "cali1"),
    ),
    "direction": case(
        "-A FORWARD -m conntrack --ctdir REPLY\n-A FORWARD -m conntrack --ctdir ORIGINAL",
        (UDP53, "eth1"),
        (ANSWER53, "cali1"),
        (ECHO_REPLY, "cali1"),
    ),
    "local-destination": case(
        "*mangle\n-A PREROUTING -m addrtype --dst-type LOCAL -j DROP", (LOCAL53, ""), (UDP53, "eth1")
    ),
    "not-local-destination": case(
        "*mangle\n-A PREROUTING -m addrtype ! --dst-type LOCAL -j DROP", (LOCAL53, "local"), (UDP53, "")
    ),
    "local-source": case(
        "*mangle\n-A POSTROUTING -m addrtype --src-type LOCAL -j DROP", (OWN53, ""), (UDP53, "eth1")
    ),
    "local-source-on-the-way-out": case(
        "*mangle\n-A POSTROUTING -m addrtype ! --src-type LOCAL --limit-iface-out "
        "-m addrtype --src-type LOCAL -j DROP",
        (OWN53, "eth1"),
        ("- udp 10.1.0.1 1000 > 10.2.0.2 53", ""),
        (UDP53, "eth1"),
    ),
    "types-of-destinations": case(
        "*mangle\n"
        + "\n".join(
            f"-A PREROUTING -m addrtype --dst-type {name}"
            for name in ("UNICAST", "LOCAL", "BROADCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT")
        ),
        *(
            (f"cali1 udp 10.1.0.2 1000 > {to} 53", seen)
            for to, seen in (
                ("10.2.0.2", "eth1"),
                ("10.1.0.255", "local"),
                ("224.0.0.1", "local"),
                ("10.67.0.1", ""),
                ("10.66.0.1", "icmp 3/1 at cali1"),
                ("10.68.0.1", "icmp 3/13 at cali1"),
                ("10.77.0.1", "icmp 3/0 at cali1"),
                ("127.0.0.1", ""),
            )
        ),
    ),
    "types-v6": case(
        "*mangle\n-A PREROUTING -m addrtype --dst-type LOCAL\n-A PREROUTING -m addrtype --dst-type UNICAST\n"
        "-A PREROUTING -m addrtype --dst-type UNREACHABLE\n-A PREROUTING -m addrtype ! --src-type LOCAL",
        (UDP53_V6, "eth1"),
        ("cali1 udp fd01::2 1000 > fd01::1 53", "local"),
        ("cali1 udp fd01::2 1000 > fd77::1 53", "icmp 1/0 at cali1"),
        family=6,
    ),
    "rpfilter": case(
        "*raw\n-A PREROUTING -m rpfilter --validmark --invert -j DROP\n-A PREROUTING -m rpfilter --validmark",
        (UDP53, "eth1"),
        ("cali1 udp 10.2.0.3 1000 > 10.2.0.2 53", ""),
        ("cali1 udp 10.77.0.3 1000 > 10.2.0.2 53", ""),
        ("eth1 udp 10.9.0.3 1000 > 10.1.0.2 53", "cali1"),
    ),
    "rpfilter-loose": case(
        "*raw\n-A PREROUTING -m rpfilter --loose --invert -j DROP",
        ("cali1 udp 10.2.0.3 1000 > 10.2.0.2 53", "eth1"),
        ("cali1 udp 10.77.0.3 1000 > 10.2.0.2 53", ""),
    ),
    "rpfilter-v6": case(
        "*raw\n-A PREROUTING -m rpfilter --validmark --invert -j DROP",
        (UDP53_V6, "eth1"),
        ("cali1 udp fd02::3 1000 > fd02::2 53", ""),
        ("cali1 udp fd77::3 1000 > fd02::2 53", ""),
        family=6,
    ),
    "mark": case(
        "*mangle\n-A PREROUTING -p udp -j MARK --set-xmark 0x10000/0x10000\n*filter\n"
        "-A FORWARD -m mark --mark 0x10000/0x10000 -j DROP\n-A FORWARD -m mark ! --mark 0x0/0xffff0000",
        (UDP53, ""),
        (SYN80, "eth1"),
    ),
    "input-is-for-the-router-alone": case(
        "-A INPUT -j DROP", (LOCAL80, ""), (UDP53, "eth1"), (OWN53, "eth1")
    ),
}
