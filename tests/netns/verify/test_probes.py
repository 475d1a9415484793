"""Probes between real namespaces: every way in which a packet can fare is told apart from the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from support.clusters import UNDER_DEFAULT_SIGNALS
from support.probe_lab import ADDRESSES, CLOSED, QUICK, SERVED, TOP, ProbeLab, probe_lab

from fabric.verify.probes import Answer, Job, Outcome
from fabric.verify.probing import ask_all

REJECTS = {
    4: {
        "icmp-net-unreachable": "ICMP net unreachable",
        "icmp-host-unreachable": "ICMP host unreachable",
        "icmp-proto-unreachable": "ICMP protocol unreachable",
        "icmp-port-unreachable": "ICMP port unreachable",
        "icmp-net-prohibited": "ICMP net prohibited",
        "icmp-host-prohibited": "ICMP host prohibited",
        "icmp-admin-prohibited": "ICMP communication administratively prohibited",
    },
    6: {
        "icmp6-no-route": "ICMPv6 no route",
        "icmp6-adm-prohibited": "ICMPv6 communication administratively prohibited",
        "icmp6-addr-unreachable": "ICMPv6 address unreachable",
        "icmp6-port-unreachable": "ICMPv6 port unreachable",
        "icmp6-policy-fail": "ICMPv6 source address failed policy",
        "icmp6-reject-route": "ICMPv6 reject route",
    },
}
both = pytest.mark.parametrize("version", [4, 6])
each = pytest.mark.parametrize("protocol", ["tcp", "udp", "icmp"])


@pytest.fixture(scope="module")
def wire():
    with probe_lab("--tcp", f"{SERVED},81", "--udp", f"{SERVED}") as lab:
        yield lab


@pytest.fixture
def lab(wire: ProbeLab):
    yield wire
    for name in ("client", "server"):
        for version in (4, 6):
            wire.filter(name, version, "-F")


def matching(protocol: str, version: int) -> tuple[str, ...]:
    """Return what a rule matches: of ICMP requests alone, for errors and neighbour discovery are ICMP too."""
    if protocol != "icmp":
        return ("-p", protocol)
    return ("-p", "icmp", "--icmp-type", "8") if version == 4 else ("-p", "icmpv6", "--icmpv6-type", "128")


@both
@each
def test_what_a_server_answers_is_delivered_in_one_try(lab: ProbeLab, protocol, version):
    answer = lab.ask(protocol, version=version)
    assert (answer.outcome, answer.detail, answer.tries) == (Outcome.delivered, "", 1)
    assert 0 < answer.microseconds < QUICK.seconds * 1e6


@both
def test_a_closed_port_refuses_by_reset_or_by_icmp(lab: ProbeLab, version):
    tcp, udp = lab.ask("tcp", CLOSED, version=version), lab.ask("udp", CLOSED, version=version)
    assert (tcp.outcome, tcp.detail) == (Outcome.refused, "TCP RST")
    name = "ICMP" if version == 4 else "ICMPv6"
    assert (udp.outcome, udp.detail) == (
        Outcome.refused,
        f"{name} port unreachable from {ADDRESSES[version]}",
    )


@each
@pytest.mark.parametrize(("version", "how"), [(v, how) for v, known in REJECTS.items() for how in known])
def test_each_kind_of_reject_is_named(lab: ProbeLab, protocol, version, how):
    rule = (*matching(protocol, version), "-j", "REJECT", "--reject-with", how)
    lab.filter("server", version, "-A", "INPUT", *rule)
    answer = lab.ask(protocol, version=version)
    port_unreachable = how.endswith("port-unreachable")
    assert answer.outcome is (Outcome.refused if port_unreachable else Outcome.rejected)
    assert answer.detail == f"{REJECTS[version][how]} from {ADDRESSES[version]}"


@both
def test_a_reject_by_reset_is_a_refusal(lab: ProbeLab, version):
    lab.filter("server", version, "-A", "INPUT", "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset")
    answer = lab.ask("tcp", version=version)
    assert (answer.outcome, answer.detail) == (Outcome.refused, "TCP RST")


@each
def test_what_a_filter_drops_is_a_timeout_after_all_tries(lab: ProbeLab, protocol):
    lab.filter("server", 4, "-A", "INPUT", *matching(protocol, 4), "-j", "DROP")
    answer = lab.ask(protocol)
    assert answer == Answer(Outcome.timeout, "", 0, QUICK.tries)


@each
def test_what_the_sources_own_filter_drops_is_a_timeout_too(lab: ProbeLab, protocol):
    lab.filter("client", 4, "-A", "OUTPUT", *matching(protocol, 4), "-j", "DROP")
    assert lab.ask(protocol).outcome is Outcome.timeout


@each
def test_what_the_sources_own_filter_rejects_is_rejected_by_itself(lab: ProbeLab, protocol):
    rule = ("-j", "REJECT", "--reject-with", "icmp-admin-prohibited")
    lab.filter("client", 4, "-A", "OUTPUT", *matching(protocol, 4), *rule)
    answer = lab.ask(protocol)
    assert answer.outcome is Outcome.rejected
    assert answer.detail == "ICMP communication administratively prohibited from 192.0.2.1"


@each
def test_a_first_packet_that_is_lost_is_sent_again(lab: ProbeLab, protocol):
    once = ("-m", "statistic", "--mode", "nth", "--every", "1000", "--packet", "0")
    lab.filter("server", 4, "-A", "INPUT", *matching(protocol, 4), *once, "-j", "DROP")
    answer = lab.ask(protocol)
    assert (answer.outcome, answer.tries) == (Outcome.delivered, 2)


@each
def test_without_a_route_the_source_says_so(lab: ProbeLab, protocol):
    answer = lab.ask(protocol, address="198.51.100.1")
    assert (answer.outcome, answer.detail) == (Outcome.error, "Network is unreachable")


@each
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("unreachable", "No route to host"),
        ("prohibit", "Permission denied"),
        ("blackhole", "Invalid argument"),
    ],
)
def test_a_route_to_nowhere_is_an_error_of_the_source(lab: ProbeLab, protocol, kind, words):
    lab.on("client", "ip", "route", "add", kind, "198.51.100.1")
    try:
        answer = lab.ask(protocol, address="198.51.100.1")
    finally:
        lab.on("client", "ip", "route", "del", "198.51.100.1")
    assert (answer.outcome, answer.detail) == (Outcome.error, words)


@each
def test_an_interface_that_is_down_is_no_route_here_and_silence_there(protocol):
    with probe_lab("--tcp", f"{SERVED}", "--udp", f"{SERVED}") as lab:
        lab.on("server", "ip", "link", "set", "eth0", "down")
        assert lab.ask(protocol).outcome is Outcome.timeout
        lab.on("client", "ip", "link", "set", "eth0", "down")
        answer = lab.ask(protocol)
        assert (answer.outcome, answer.detail) == (Outcome.error, "Network is unreachable")


def test_a_protocol_that_the_kernel_lacks_is_said_to_be_missing(lab: ProbeLab):
    answer = lab.ask("sctp")
    if answer.outcome is not Outcome.error:
        pytest.skip("this kernel has SCTP")
    assert answer.detail == "Protocol not supported"


def test_a_source_without_a_namespace_is_an_error_and_the_others_are_asked(lab: ProbeLab):
    pids = {**lab.pids, "gone": 2**22 - 1}
    jobs = [Job(name, ADDRESSES[4], "tcp", SERVED) for name in ("nobody", "gone", "client")]
    unknown, gone, client = ask_all(pids, jobs, QUICK)
    assert (unknown.outcome, unknown.detail) == (Outcome.error, "nobody has no network namespace")
    assert (gone.outcome, gone.detail) == (Outcome.error, "No such file or directory")
    assert client.outcome is Outcome.delivered


@each
def test_it_is_asked_from_the_address_that_the_job_names_else_from_that_of_the_route(lab: ProbeLab, protocol):
    lab.on("client", "ip", "address", "add", "192.0.2.11/24", "dev", "eth0")
    lab.filter("server", 4, "-A", "INPUT", "-s", "192.0.2.1", "-j", "ACCEPT")
    lab.filter("server", 4, "-A", "INPUT", "-j", "REJECT", "--reject-with", "icmp-host-prohibited")
    try:
        assert lab.ask(protocol).outcome is Outcome.delivered
        assert lab.ask(protocol, source="192.0.2.11").outcome is Outcome.rejected
        foreign = lab.ask(protocol, source="192.0.2.99")
        assert (foreign.outcome, foreign.detail) == (Outcome.error, "Cannot assign requested address")
    finally:
        lab.on("client", "ip", "address", "del", "192.0.2.11/24", "dev", "eth0")


@each
def test_no_probe_passes_because_a_filter_knows_the_flow_of_one_before(lab: ProbeLab, protocol):
    """As policies are kept: who is connected stays so, and only what is new is judged."""
    known = ("-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "ACCEPT")
    lab.filter("server", 4, "-A", "INPUT", *known)
    jobs = [Job("client", ADDRESSES[4], protocol, 0 if protocol == "icmp" else SERVED)] * 200
    assert {it.outcome for it in ask_all(lab.pids, jobs, QUICK)} == {Outcome.delivered}
    lab.filter("server", 4, "-A", "INPUT", "-j", "REJECT", "--reject-with", "icmp-host-prohibited")
    outcomes = {it.outcome for it in ask_all(lab.pids, jobs, QUICK)}
    assert Outcome.rejected in outcomes and Outcome.delivered not in outcomes


def test_thousands_of_jobs_are_each_answered_by_their_own_outcome(lab: ProbeLab):
    lab.filter("server", 4, "-A", "INPUT", "-p", "tcp", "--dport", "82", "-j", "DROP")
    wanted = [(80, Outcome.delivered), (CLOSED, Outcome.refused), (82, Outcome.timeout)] * 700
    jobs = [Job("client", ADDRESSES[4], "tcp", port) for port, _ in wanted]
    counts: list[int] = []
    answers = ask_all(lab.pids, jobs, QUICK, progress=counts.append)
    assert [it.outcome for it in answers] == [outcome for _, outcome in wanted]
    assert counts == sorted(counts) and counts[-1] == len(jobs)


def test_nothing_stays_open_and_the_thread_is_at_home_also_after_a_stop(lab: ProbeLab):
    home, before = os.readlink("/proc/thread-self/ns/net"), len(os.listdir("/proc/self/fd"))
    lab.filter("server", 4, "-A", "INPUT", "-p", "tcp", "--dport", "82", "-j", "DROP")
    jobs = [Job("client", ADDRESSES[4], protocol, port) for protocol in ("tcp", "udp") for port in (80, 82)]
    left = iter([False] * 3)
    answers = ask_all(
        lab.pids, [*jobs, Job("client", ADDRESSES[4], "icmp")], is_stopped=lambda: next(left, True)
    )
    assert any(it.detail == "not asked: it was stopped" for it in answers)
    assert os.readlink("/proc/thread-self/ns/net") == home
    assert len(os.listdir("/proc/self/fd")) == before
    assert lab.open_sockets("client") == []


FOR_EVER = """
import sys
import time
from fabric.verify.probes import Job
from fabric.verify.probing import ContinuousProbe
job = Job("client", "192.0.2.2", "tcp", 80)
try:
    with ContinuousProbe({"client": int(sys.argv[1])}, [job, Job("client", "192.0.2.2", "icmp")]) as probe:
        while not probe.tallies[job].delivered:
            pass
        print("asks", flush=True)
        # Not one long wait: a signal that comes just before it would not end it.
        while True:
            time.sleep(0.05)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize(
    ("number", "said", "code"), [(signal.SIGKILL, "", -signal.SIGKILL), (signal.SIGINT, "interrupted\n", 0)]
)
def test_a_prober_that_is_killed_or_interrupted_leaves_nothing(lab: ProbeLab, number, said, code):
    command = [*UNDER_DEFAULT_SIGNALS, sys.executable, "-P", "-c", FOR_EVER, str(lab.pids["client"])]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, text=True, cwd=TOP, env={"PYTHONPATH": str(TOP)}) as asking:
        try:
            assert asking.stdout and asking.stdout.readline() == "asks\n"
            asking.send_signal(number)
            assert asking.wait(timeout=180) == code
            assert asking.stdout.read() == said
        finally:
            asking.kill()
    assert lab.open_sockets("client") == []
