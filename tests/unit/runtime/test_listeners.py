"""The ports that the echo server's words ask for."""

from __future__ import annotations

import pytest

from fabric.runtime.builtin.listeners import listeners


def served(*argv: str, **env: str) -> list[str]:
    return [str(it) for it in listeners(argv, env)]


def test_it_serves_http_tcp_and_udp_when_nothing_is_said_and_gives_way_to_whoever_has_them():
    assert served() == ["http 8080", "tcp 9000", "udp 9000"]
    assert all(it.is_default for it in listeners([], {}))


def test_variables_and_flags_move_a_port_or_leave_it_out_and_flags_win():
    assert served(HTTP_PORT="80", TCP_PORT="0", UDP_PORT="53") == ["http 80", "udp 53"]
    assert served("--http-port=81", HTTP_PORT="80", TCP_PORT="0", UDP_PORT="0") == ["http 81"]
    assert not listeners(["--tcp-port", "9000"], {})[1].is_default


def test_more_ports_of_each_protocol_can_be_added():
    none = {"HTTP_PORT": "0", "TCP_PORT": "0", "UDP_PORT": "0"}
    assert served("--tcp", "80,81", "--udp=80", "--sctp=80", **none) == [
        "tcp 80",
        "tcp 81",
        "udp 80",
        "sctp 80",
    ]


def test_a_port_that_is_asked_for_twice_is_served_once_as_the_first_says():
    assert served("--tcp", "80,9000,80", HTTP_PORT="80") == ["http 80", "tcp 9000", "udp 9000"]


def test_it_answers_to_what_agnhost_is_called_with():
    assert served("netexec") == ["http 8080", "udp 8081"]
    assert served("netexec", "--http-port", "80", "--udp-port=-1") == ["http 80"]
    assert served("serve-hostname") == ["http 9376"]
    assert served("serve-hostname", "--tcp", "--http=false", "--port", "80") == ["tcp 80"]
    assert served("serve-hostname", "--udp", "--http=false", "--port=80") == ["udp 80"]
    assert served("porter", SERVE_PORT_80="foo", SERVE_SCTP_PORT_81="bar") == ["http 80", "sctp 81"]
    assert served("pause") == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--http-port=http", "--http-port=http: a port is a number from 0 to 65535"),
        ("--tcp 80,x", "--tcp=x: a port is a number from 1 to 65535"),
        ("--tcp 0", "--tcp=0: a port is a number from 1 to 65535"),
        ("--udp 65536", "--udp=65536: a port is a number from 1 to 65535"),
        ("--tcp", "--tcp: a value is missing"),
        ("--prot=80", "--prot: no flag; there: --http-port, --tcp-port, --udp-port, --tcp, --udp, --sctp"),
        ("netexec --tcp=80", "--tcp: no flag of netexec; there: --http-port, --udp-port, --sctp-port"),
        ("pause now", "now: no flag of pause; there: none"),
        ("serve-hostname --tcp=maybe", "--tcp=maybe: write true or false"),
        ("nettest", "nettest: no command; there: netexec, serve-hostname, porter, pause, or flags alone"),
    ],
)
def test_words_that_it_does_not_know_are_refused_with_those_that_it_does(words, message):
    with pytest.raises(ValueError) as refused:
        listeners(words.split(), {})
    assert str(refused.value) == message


def test_a_variable_that_is_no_port_is_named():
    with pytest.raises(ValueError, match="UDP_PORT=x: a port is a number from 0 to 65535"):
        listeners([], {"UDP_PORT": "x"})
