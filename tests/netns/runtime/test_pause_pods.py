"""Containers of the pause program cost nearly nothing, and are containers in all that one can see."""

from __future__ import annotations

import os
import signal
import uuid
from pathlib import Path

import pytest
from support.eventually import eventually
from support.pod_shell import PodShell, is_on_host, mounts_of
from support.runtime_contract import ended
from support.runtime_process import connected

from fabric.errors import FabricError
from fabric.kubelet.catalogue import Catalogue
from fabric.runtime.contract import Mount, SandboxSpec

PAUSE = Catalogue.default().resolve("pause").argv


def status_line(pid: int, key: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{key}:"))


async def test_it_shares_one_root_that_holds_its_program_alone(shell: PodShell):
    one, two = await shell.start(*PAUSE), await shell.start(*PAUSE)
    assert os.readlink(f"/proc/{one.pid}/ns/mnt") == os.readlink(f"/proc/{two.pid}/ns/mnt")
    files = [name for _, _, names in os.walk(f"/proc/{one.pid}/root") for name in names]
    assert (len(mounts_of(str(one.pid)).splitlines()), files) == (2, ["catatonit"])
    assert os.readlink(f"/proc/{one.pid}/exe").endswith("/catatonit")


async def test_it_is_in_its_pods_other_namespaces_with_a_containers_capabilities(shell: PodShell):
    started = await shell.start(*PAUSE)
    (sandbox,) = await shell.client.sandboxes()
    for kind in ("net", "uts", "ipc", "pid"):
        assert os.readlink(f"/proc/{started.pid}/ns/{kind}") == os.readlink(f"/proc/{sandbox.pid}/ns/{kind}")
    assert status_line(started.pid, "CapEff") == "00000000a00425fb"


async def test_programs_beside_it_see_the_hosts_programs_and_share_a_root(shell: PodShell, tmp_path: Path):
    (tmp_path / "hosts").write_text("10.244.1.1 pod-1\n")
    mine = f"/etc/fabric-{uuid.uuid4().hex}"
    started = await shell.start(
        *PAUSE, mounts=(Mount("/etc/hosts", tmp_path / "hosts"),), env={"MODE": "demo"}
    )
    script = f"cat /etc/hosts; hostname; echo $MODE; ip -br link | wc -l; echo x > {mine}"
    assert await shell.exec(started.id, script) == (0, "10.244.1.1 pod-1\npod-1\ndemo\n1\n")
    assert await shell.exec(started.id, f"cat {mine}") == (0, "x\n")
    assert not is_on_host(mine)
    refused = "(echo 1 > /proc/sys/kernel/panic) 2>/dev/null || echo refused"
    assert await shell.exec(started.id, refused) == (0, "refused\n")


async def test_it_stops_and_takes_the_root_of_its_programs_along(shell: PodShell):
    started = await shell.start(*PAUSE)
    await shell.exec(started.id, "true")
    before = len(shell.process.pids)
    await shell.client.signal_container(started.id, signal.SIGTERM)
    assert (await ended(shell.client, started.id)).state == "exited"
    await eventually(lambda: len(shell.process.pids) <= before - 2)
    with pytest.raises(FabricError, match="does not run"):
        await shell.exec(started.id, "true")


async def test_a_runtime_that_comes_after_adopts_it_with_what_its_programs_wrote(shell: PodShell):
    started = await shell.start(*PAUSE)
    await shell.exec(started.id, "echo x > /etc/mine")
    shell.process.kill()
    shell.process.start()
    async with connected(shell.process) as client:
        shell.client = client
        assert await shell.exec(started.id, "cat /etc/mine") == (0, "x\n")
        await client.stop_sandbox("pod-1")
        await client.stop_node("node-1")
    assert shell.process.pids == [shell.process.pid]


async def test_what_died_with_no_runtime_leaves_no_root_behind(shell: PodShell):
    started = await shell.start(*PAUSE)
    await shell.exec(started.id, "true")
    shell.process.kill()
    os.kill(started.pid, signal.SIGKILL)
    shell.process.start()
    async with connected(shell.process) as client:
        assert (await ended(client, started.id)).reason == "ContainerStatusUnknown"
        await eventually(lambda: len(shell.process.pids) == 3)


async def test_another_container_of_the_pod_can_write_nothing_through_it(shell: PodShell):
    started = await shell.start(*PAUSE)
    pid = status_line(started.pid, "NSpid").split()[-1]
    places = " ".join(f"/proc/{pid}/{path}" for path in ("root/x", "root/usr/bin/catatonit", "fd/0"))
    script = f"for f in {places}; do (echo x >> $f) 2>/dev/null || echo refused; done; ls /proc/{pid}/root"
    assert await shell.run(script) == "refused\n" * 3 + "usr\n"


@pytest.mark.parametrize("target", ["/data", "/usr/bin"])
async def test_one_with_a_volume_has_a_root_of_its_own(shell: PodShell, tmp_path: Path, target: str):
    mounts = (Mount(target, tmp_path),)
    status = await shell.client.start_container(shell.spec(*PAUSE, mounts=mounts))
    if target == "/usr/bin":
        assert (status.reason, status.exit_code) == ("StartError", 127)
    else:
        assert str(tmp_path) in mounts_of(str(status.pid)) and len(mounts_of(str(status.pid))) > 3


async def test_a_missing_file_is_an_error_that_names_it(shell: PodShell, tmp_path: Path):
    spec = shell.spec(*PAUSE, mounts=(Mount("/etc/hosts", tmp_path / "gone"),))
    with pytest.raises(FabricError, match=r"mount .*gone on /etc/hosts: No such file or directory"):
        await shell.client.start_container(spec)


async def test_pause_processes_that_no_record_names_are_ended(shell: PodShell):
    kept, lost = await shell.start(*PAUSE), await shell.start(*PAUSE)
    unknown = await shell.client.start_sandbox(SandboxSpec("pod-2", "node-1", "pod-2"))
    shell.process.kill()
    (shell.process.state / "containers" / f"{lost.id}.json").unlink()
    (shell.process.state / "sandboxes" / "pod-2.json").unlink()
    shell.process.start()
    async with connected(shell.process):
        await eventually(lambda: not {lost.pid, unknown.pid} & set(shell.process.pids))
        assert kept.pid in shell.process.pids
