"""A container's output arrives whole, in CRI's format, whatever happens to the runtime."""

from __future__ import annotations

import re

from support.eventually import eventually
from support.pod_shell import PodShell
from support.runtime_contract import ended
from support.runtime_process import connected

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) [FP] ")


async def test_lines_carry_time_stream_and_mark(shell: PodShell):
    started = await shell.start("sh", "-c", "echo out; echo err >&2; printf rest")
    await ended(shell.client, started.id)
    lines = shell.log_path(started.id).read_text().splitlines()
    assert all(LINE.match(line) for line in lines)
    assert sorted(line.split(" ", 1)[1] for line in lines) == [
        "stderr F err",
        "stdout F out",
        "stdout P rest",
    ]


async def test_a_long_line_comes_in_parts(shell: PodShell):
    started = await shell.start("sh", "-c", "head -c 40000 /dev/zero | tr '\\0' x; echo")
    await ended(shell.client, started.id)
    marks = [line.split(" ", 3)[2] for line in shell.log_path(started.id).read_text().splitlines()]
    assert marks == ["P", "P", "F"]
    assert shell.printed(started.id) == "x" * 40000 + "\n"


async def test_all_output_is_in_the_log_when_the_end_is_told(shell: PodShell):
    assert (await shell.run("seq 1 200000")).split() == [str(n) for n in range(1, 200001)]


async def test_full_logs_are_put_aside_while_the_container_runs_and_five_are_kept(shell: PodShell):
    burst = "head -c 11000000 /dev/zero | tr '\\0' x | fold -w 1000"
    script = f"for n in 1 2 3 4 5 6 7; do echo $n; {burst}; echo; sleep 1.1; done; echo end; sleep 1000"
    started = await shell.start("sh", "-c", script)
    path = shell.log_path(started.id)
    await eventually(lambda: path.read_text().endswith("F end\n"), seconds_max=60)
    names = sorted(entry.name for entry in path.parent.iterdir())
    assert names[0] == path.name and len(names) == 5
    assert all(re.fullmatch(rf"{path.name}\.\d{{8}}-\d{{6}}", name) for name in names[1:])
    assert all((path.parent / name).stat().st_size < 24 << 20 for name in names)
    assert sum((path.parent / name).stat().st_size for name in names) > 40 << 20


async def test_output_goes_on_after_the_runtime_was_killed(shell: PodShell):
    script = "n=0; while [ $n -lt 300 ]; do n=$((n+1)); echo $n; sleep 0.002; done; read x < /go; echo end"
    started = await shell.start("sh", "-c", f"mkfifo /go; {script}")
    await eventually(lambda: shell.printed(started.id).count("\n") > 20)
    shell.process.kill()
    shell.process.start()
    async with connected(shell.process) as client:
        await eventually(lambda: shell.printed(started.id).count("\n") == 300)
        session = await client.exec(started.id, ["sh", "-c", "echo > /go"])
        assert await session.wait() == 0
        await ended(client, started.id)
    assert shell.printed(started.id).split() == [str(n) for n in range(1, 301)] + ["end"]


async def test_a_container_without_a_log_writes_into_nothing(shell: PodShell):
    spec = shell.spec("sh", "-c", "seq 1 100000")
    object.__setattr__(spec, "log_path", None)
    started = await shell.client.start_container(spec)
    assert (await ended(shell.client, started.id)).exit_code == 0
