"""`fabric bench`: what it measures for which words, its tables, its keys, and what it refuses."""

from __future__ import annotations

import json
import signal
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fabric.bench import filesystems
from fabric.bench.bgp import BgpTimes
from fabric.bench.filesystems import FileSystem
from fabric.bench.idle import IdleTimes
from fabric.bench.loop import ChangeTimes
from fabric.bench.peer import PeerTimes
from fabric.bench.up import UpTimes
from fabric.cli import bench_commands, bench_loop_command, measurements
from fabric.errors import FabricError

TMPFS = FileSystem("/run/fabric", "tmpfs", "none", "/run")
JOURNAL = FileSystem("/var/lib/fabric", "ext4", "/dev/sda1", "/")
NO_JOURNAL = FileSystem("/var/lib/fabric", "ext4", "/dev/vda", "/", without_journal=True)
FILES = "files: /run/fabric on tmpfs, /var/lib/fabric on ext4\n"
LONG = "9" * 5000
"""More digits than Python makes a number of."""


@pytest.fixture
def bench(fabric, monkeypatch):
    """`fabric bench`, whose measurements take no time; what was asked for is in `fabric.asked`."""
    fabric.asked, fabric.fails = [], {}

    def note(*words):
        """Note what was asked for; fail when that is what the test has fail."""
        fabric.asked.append(words)
        if error := fabric.fails.get(str(words[:2])):
            raise error

    def up(nodes, pods, *, runs, with_mininet, tune, say):
        say("begins")
        note(nodes, pods, runs, with_mininet, tune)
        peer = PeerTimes(pods, 8.0, 5.0) if with_mininet else None
        memory, spent = (100.0, 50.0, {"fabric": 64.5}), (3.0, 1.5, {"hosts and pods": 1.0})
        figures = (nodes, pods, runs, 2.0, 0.5, {"nodes Ready": 1.0}, 12, *memory, *spent, peer)
        return UpTimes(*figures, filesystems.of_clusters())

    def bgp(count, shape, *, runs, silent, keepalive_seconds, tune, say):
        note(count, shape, runs, silent, keepalive_seconds, tune)
        return BgpTimes(count, shape, runs, 3, 1.5, 0.25, 64.0, 0.125, 6.0 if silent else None, 240)

    def loop(kernel, parts, members, changes, say):
        note(kernel, parts, members, changes)
        kinds = [*(("peer", count, None) for count in parts), *(("member", count, 1) for count in members)]
        write = None if kernel == "fake" else 0.5
        return [ChangeTimes(kernel, *it[:2], changes, 0.25, write, 1.5, 1, it[2], 0) for it in kinds]

    def idle(plugin, nodes, pods, seconds, say):
        note(plugin, nodes, pods, seconds)
        return IdleTimes(plugin, nodes, pods, seconds, 1.25, {"fabric-worker": 1.0, "bird": 0.2})

    fabric.files = {"run": TMPFS, "state": JOURNAL}
    monkeypatch.setattr(filesystems, "of_clusters", lambda: fabric.files)
    monkeypatch.setattr(measurements.signal, "signal", lambda *_: None)
    monkeypatch.setattr(bench_commands, "measure", up)
    monkeypatch.setattr(bench_commands.bgps, "measure", bgp)
    monkeypatch.setattr(bench_loop_command.loops, "measure", loop)
    monkeypatch.setattr(bench_loop_command.idles, "measure", idle)
    return lambda *words: fabric("bench", *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["up", "--sizes", "2x"], "--sizes: '2x' is no size; write NODESxPODS, such as 4x100"),
        (["up", "--sizes", "2x4,0x1"], "--sizes: '0x1' is no size"),
        (["up", "--sizes", ""], "--sizes: '' is no size"),
        (["up", "--sizes", "4"], "--sizes: '4' is no size"),
        (["up", "--sizes", "2x4x8"], "--sizes: '2x4x8' is no size"),
        (["up", "--sizes", "2x²"], "--sizes: '2x²' is no size"),
        (["up", "--sizes", f"1x{LONG}"], "is no size"),
        (["up", "--sizes", "1x100001"], "up to 10000x100000"),
        (["bgp", "--nodes", "3"], "--nodes: '3' is no number of nodes from 4 to 10000"),
        (["bgp", "--nodes", "ten"], "--nodes: 'ten' is no number of nodes"),
        (["bgp", "--nodes", "-4"], "--nodes: '-4' is no number of nodes"),
        (["bgp", "--nodes", "٤"], "--nodes: '٤' is no number of nodes"),
        (["bgp", "--nodes", LONG], "is no number of nodes"),
        (["bgp", "--no-mesh", "--no-reflectors"], "--no-mesh --no-reflectors: nothing is left to measure"),
        (["bgp", "--keepalive", "30000"], "'--keepalive'"),
        (["loop", "--parts", "ten"], "--parts: 'ten' is no number from 1 to 65000"),
        (["loop", "--parts", "65001"], "--parts: '65001' is no number from 1 to 65000"),
        (["loop", "--members", "0"], "--members: '0' is no number from 1 to 1000000"),
        (["loop", "--changes", "65001"], "'--changes'"),
        (["loop", "--seconds", "inf"], "'--seconds'"),
        (["loop", "--seconds", "nan"], "'--seconds'"),
        (["loop", "--idle", "flannel"], "--idle: 'flannel' is no cluster; write PLUGIN:NODESxPODS"),
        (["loop", "--idle", "flannel:0x1"], "--idle: 'flannel:0x1' is no cluster"),
        (["loop", "--idle", "flannel:1x²"], "--idle: 'flannel:1x²' is no cluster"),
        (["loop", "--idle", f"flannel:1x{LONG}"], "is no cluster"),
        (
            ["loop", "--idle", "weave:2x1"],
            "'weave' is not installed (installed: calico, canal, flannel)",
        ),
        (["loop", "--parts", "", "--members", " ,", "--idle", ""], "--parts --members --idle: all are empty"),
    ],
    ids=lambda it: " ".join(it)[:30] if isinstance(it, list) else "",
)
def test_what_cannot_be_measured_is_bad_input_before_anything_runs(bench, fabric, words, said):
    answer = bench(*words)
    assert fabric.asked == []
    assert (answer.code, answer.out) == (2, "") and said in answer.err


def test_bench_up_measures_each_size_beside_mininet(bench, fabric):
    answer = bench("up", "--sizes", "2x4, 4x100", "--runs", "5")
    assert fabric.asked == [(2, 4, 5, True, True), (4, 100, 5, True, True)]
    heading, first, _ = answer.out.splitlines()
    assert heading.split()[-2:] == ["MN/UP", "MN/DOWN"]
    assert " ".join(first.split()) == "2 4 2.00 0.50 3.00 1.50 100 50 8.00 5.00 4.00 10.00"
    assert answer.err == f"{FILES}begins\nbegins\n", "progress is no result"
    alone = bench("up", "--no-tune", "--no-mininet", "--sizes", "2x4").out.splitlines()[1]
    assert fabric.asked[-1] == (2, 4, 3, False, False)
    assert len(alone.split()) == 8, "no column of Mininet's is filled"


@pytest.mark.parametrize(("mib", "shown"), [(-0.4, "0"), (0.4, "0"), (-3.6, "-4"), (1234.5, "1234")])
def test_slab_that_the_kernel_gave_back_meanwhile_is_a_whole_number(bench, monkeypatch, mib, shown):
    measured = bench_commands.measure
    monkeypatch.setattr(
        bench_commands, "measure", lambda *size, **asked: replace(measured(*size, **asked), slab_mib=mib)
    )
    assert bench("up", "--sizes", "2x4").out.splitlines()[1].split()[7] == shown


def test_a_file_system_that_makes_runs_slow_is_told_before_the_first_with_what_to_do(bench, fabric):
    fabric.files = {"run": TMPFS, "state": NO_JOURNAL}
    answer = bench("up", "--sizes", "2x4", "-o", "json")
    assert answer.code == 0 and answer.err.splitlines() == [
        "files: /run/fabric on tmpfs, /var/lib/fabric on ext4 without a journal",
        "warning: /var/lib/fabric is on an ext4 without a journal, where each run is slower than the one "
        "before: set FABRIC_RUN_DIR and FABRIC_STATE_DIR to folders of a tmpfs",
        "begins",
    ]
    (found,) = json.loads(answer.out)
    assert [(it["type"], it["withoutJournal"]) for it in found["fileSystems"].values()] == [
        ("tmpfs", False),
        ("ext4", True),
    ]
    assert "warning" not in bench("bgp", "--nodes", "4").err, "of files it has few"


def test_bench_bgp_measures_every_shape_and_number(bench, fabric):
    out = bench("bgp", "--nodes", "4,10", "--silent", "--keepalive", "2", "--runs", "1").out
    assert fabric.asked == [
        (4, "mesh", 1, True, 2, True),
        (10, "mesh", 1, True, 2, True),
        (4, "reflectors", 1, True, 2, True),
        (10, "reflectors", 1, True, 2, True),
    ]
    assert out.splitlines()[1].split() == ["4", "mesh", "3", "1.50", "0.25", "64", "0.125", "6.00", "240"]
    only = yaml.safe_load(bench("bgp", "--nodes", "4", "--no-reflectors", "-o", "yaml").out)
    assert [it["shape"] for it in only] == ["mesh"] and only[0]["silentSeconds"] is None
    bench("bgp", "--nodes", "4", "--no-mesh", "--no-tune")
    assert fabric.asked[-1] == (4, "reflectors", 3, False, 0, False)


def test_bench_loop_measures_on_both_kernels_and_then_clusters_at_rest(bench, fabric):
    words = ("--parts", "1, 20", "--members", "300", "--changes", "7", "--seconds", "2")
    answer = bench("loop", *words, "--idle", "flannel:2x10, calico:5x0")
    assert fabric.asked == [
        ("fake", [1, 20], [300], 7),
        ("linux", [1, 20], [300], 7),
        ("flannel", 2, 10, 2.0),
        ("calico", 5, 0, 2.0),
    ]
    changes, rest = (part.splitlines() for part in answer.out.split("\n\n"))
    assert changes[0].split()[0] == "KERNEL" and len(changes) == 7
    assert changes[1].split() == ["fake", "peer", "1", "0.250", "1.50", "1", "0"]
    assert changes[6].split() == ["linux", "member", "300", "0.250", "0.500", "1.50", "1", "1", "0"]
    assert rest[1].split() == ["flannel", "2", "10", "1.25", "fabric-worker=1", "bird=0.2"]


def test_bench_loop_on_the_fake_kernel_alone_needs_no_root(bench, fabric, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    answer = bench("loop", "--no-real", "--members", "", "--parts", "3", "--idle", "")
    assert (answer.code, fabric.asked) == (0, [("fake", [3], [], 50)])
    assert "PLUGIN" not in answer.out
    for words in (["--idle", ""], ["--no-real"]):
        assert bench("loop", *words).err == "error: fabric bench loop needs root: run it with sudo\n"


LATER = {"up": (4, 100), "bgp": (4, "reflectors"), "loop": ("calico", 5)}
MEASURED = {
    "up": {"nodes": 2, "pods": 4},
    "bgp": {"nodes": 4, "shape": "mesh"},
    "loop": {"plugin": "flannel"},
}


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (FabricError("no room"), 1, "error: no room"),
        (KeyboardInterrupt(), 130, ""),
        (SystemExit(143), 143, ""),
    ],
    ids=["error", "Ctrl-C", "SIGTERM"],
)
@pytest.mark.parametrize(
    "words",
    [
        ["up", "--sizes", "2x4,4x100,10x1000"],
        ["bgp", "--nodes", "4"],
        ["loop", "--idle", "flannel:2x10,calico:5x10"],
    ],
    ids=lambda it: it[0],
)
def test_what_was_measured_is_told_before_the_error_of_what_came_later(
    bench, fabric, words, error, code, said
):
    fabric.fails = {str(LATER[words[0]]): error}
    answer = bench(*words, "-o", "json")
    found = json.loads(answer.out)
    assert (answer.code, answer.err.removeprefix(f"{FILES}begins\nbegins\n").strip()) == (code, said)
    if words[0] == "loop":
        assert {it["kernel"] for it in found["changes"]} == {"fake", "linux"}
        found = found["idle"]
    assert [{key: it[key] for key in MEASURED[words[0]]} for it in found] == [MEASURED[words[0]]]
    assert fabric.asked[-1][:2] == LATER[words[0]], "nothing is measured after an error"
    row = bench(*words).out.splitlines()[-1].split()
    assert row[: len(MEASURED[words[0]])] == [str(it) for it in MEASURED[words[0]].values()]


def test_when_nothing_was_measured_there_is_no_result_but_the_error(bench, fabric):
    fabric.fails = {str((2, 4)): FabricError("no room")}
    for form in ("table", "json"):
        answer = bench("up", "--sizes", "2x4,4x100", "-o", form)
        assert (answer.code, answer.out, answer.err) == (1, "", f"{FILES}begins\nerror: no room\n")


@pytest.mark.parametrize("form", ["json", "yaml"])
@pytest.mark.parametrize(
    ("words", "path", "keys"),
    [
        (["up", "--sizes", "2x4"], [0], {"upSeconds", "pssMib", "cpuUserSeconds", "cpuSeconds", "slabMib"}),
        (["up", "--sizes", "2x4"], [0, "fileSystems", "run"], {"folder", "mountPoint", "withoutJournal"}),
        (["up", "--sizes", "2x4"], [0, "peer"], {"hosts", "upSeconds", "downSeconds"}),
        (["bgp", "--nodes", "4"], [0], {"convergedSeconds", "killedSeconds", "holdSeconds", "silentSeconds"}),
        (["loop"], ["changes", 0], {"loopMilliseconds", "restoreLines", "writeMilliseconds"}),
        (["loop"], ["idle", 0], {"cpuPercent", "byProcess"}),
    ],
    ids=["up", "files", "peer", "bgp", "loop", "idle"],
)
def test_keys_are_as_kubernetes_writes_them(bench, form, words, path, keys):
    read = {"json": json.loads, "yaml": yaml.safe_load}[form]
    value = read(bench(*words, "-o", form).out)
    for step in path:
        value = value[step]
    assert keys <= set(value) and not [key for key in value if "_" in key]


def test_names_of_stages_components_and_processes_stay_as_they_are(bench):
    (found,) = json.loads(bench("up", "--sizes", "2x4", "-o", "json").out)
    assert found["stages"] == {"nodes Ready": 1.0} and found["cpuSeconds"] == {"hosts and pods": 1.0}
    idle = json.loads(bench("loop", "-o", "json").out)["idle"]
    assert idle[0]["byProcess"] == {"fabric-worker": 1.0, "bird": 0.2}


@given(st.text(max_size=8), st.integers(0, 5), st.integers(0, 10**6))
def test_any_text_is_a_number_between_the_bounds_or_none(text, least, most):
    found = measurements.number(text, least, most=most)
    if found is not None:
        assert least <= found <= most and str(found) == (text.strip().lstrip("0") or "0")


@given(st.integers(0, 10**6), st.sampled_from(["", " ", "\t"]))
def test_every_number_between_the_bounds_is_read(number, space):
    assert measurements.number(f"{space}{number}{space}", 0, most=10**6) == number
    assert measurements.number(str(number), number + 1, most=10**7) is None


def test_a_hangup_that_the_caller_ignores_stays_ignored(monkeypatch):
    """So it is under nohup; SIGTERM ends it all the same."""
    set_to = {}
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(measurements.signal, "signal", lambda told, what: set_to.update({told: what}))
    for ignored in (False, True):
        as_it_is = signal.SIG_IGN if ignored else signal.SIG_DFL
        monkeypatch.setattr(
            measurements.signal, "getsignal", lambda told, it=as_it_is: it if told == signal.SIGHUP else 0
        )
        set_to.clear()
        measurements.prepare("bench up")
        assert set(set_to) == {signal.SIGTERM} | (set() if ignored else {signal.SIGHUP})
        with pytest.raises(SystemExit) as ended:
            set_to[signal.SIGTERM](signal.SIGTERM, None)
        assert ended.value.code == 143
