"""What a container and a node see of the host's file system, and that the host never sees theirs."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from support.pod_shell import PodShell, is_on_host
from support.runtime_contract import ended

from fabric.errors import FabricError
from fabric.runtime.contract import HostSpec, Mount


async def test_what_a_container_writes_is_not_on_the_host(shell: PodShell):
    name = f"fabric-{uuid.uuid4().hex}"
    places = [f"/etc/{name}", f"/usr/{name}", f"/var/lib/{name}", f"/tmp/{name}", f"/{name}", f"/run/{name}"]
    script = " && ".join(f"echo x > {place}" for place in places)
    await shell.run(f"{script} && ls {' '.join(places)}")
    assert not any(map(is_on_host, places))


async def test_what_a_node_writes_is_not_on_the_host(shell: PodShell):
    name = f"/etc/fabric-{uuid.uuid4().hex}"
    assert await shell.exec_node(f"echo x > {name} && cat {name}") == (0, "x\n")
    assert not is_on_host(name)


async def test_containers_of_a_pod_do_not_see_each_others_files(shell: PodShell):
    await shell.run("echo x > /etc/mine")
    await shell.run("test ! -e /etc/mine")


async def test_a_container_sees_no_private_places_of_the_host(shell: PodShell):
    assert await shell.run("ls -A /root /home /tmp /mnt | grep -v : | grep .; true") == ""


async def test_a_container_has_the_devices_that_programs_need(shell: PodShell):
    script = "echo x > /dev/null && head -c 4 /dev/zero | wc -c && test -c /dev/urandom -a -d /dev/shm"
    assert await shell.run(script) == "4\n"
    assert await shell.run("ls -A /dev | tr '\\n' ' '") == (
        "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero "
    )


async def test_a_container_cannot_reach_the_hosts_disks_or_settings(shell: PodShell):
    assert await shell.run("mknod /disk b 254 0 2>/dev/null || echo refused") == "refused\n"
    assert await shell.run("mount -t tmpfs x /mnt 2>/dev/null || echo refused") == "refused\n"
    assert await shell.run("echo 1 2>/dev/null > /proc/sys/kernel/panic || echo refused") == "refused\n"
    assert await shell.run("chroot /proc/1/root true 2>/dev/null || echo refused") == "refused\n"


async def test_volumes_are_files_and_directories_of_the_host(shell: PodShell, tmp_path: Path):
    volume = tmp_path / "volume"
    volume.mkdir()
    hosts = tmp_path / "hosts"
    hosts.write_text("10.244.1.1 pod-1\n")
    mounts = (
        Mount("/data/deep/volume", volume),
        Mount("/etc/hosts", hosts, read_only=True),
        Mount("/cache", size_bytes=1 << 20),
    )
    script = "cat /etc/hosts; echo x > /data/deep/volume/out; echo y > /cache/y; (echo z > /etc/hosts) 2>&1"
    printed = await shell.run(f"{script}; true", mounts=mounts)
    assert printed.startswith("10.244.1.1 pod-1\n") and "Read-only" in printed
    assert (volume / "out").read_text() == "x\n"
    assert hosts.read_text() == "10.244.1.1 pod-1\n"


async def test_a_mount_inside_a_mount_comes_after_it(shell: PodShell, tmp_path: Path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "x").write_text("inner\n")
    (tmp_path / "outer" / "sub").mkdir(parents=True)
    mounts = (Mount("/a/sub", tmp_path / "inner"), Mount("/a", tmp_path / "outer"))
    assert await shell.run("cat /a/sub/x", mounts=mounts) == "inner\n"


async def test_a_missing_volume_is_an_error_that_names_it(shell: PodShell, tmp_path: Path):
    spec = shell.spec("true", mounts=(Mount("/data", tmp_path / "gone"),))
    with pytest.raises(FabricError, match=r"mount .*gone on /data: No such file or directory"):
        await shell.client.start_container(spec)
    assert await shell.client.containers() == ()


async def test_a_read_only_root_refuses_writes_outside_of_volumes(shell: PodShell, tmp_path: Path):
    script = "(echo x > /etc/x) 2>/dev/null || echo x > /data/x && cat /data/x"
    assert await shell.run(script, mounts=(Mount("/data", tmp_path),), read_only_root=True) == "x\n"
    assert (tmp_path / "x").exists()


async def test_an_unpacked_root_is_the_whole_world(shell: PodShell, tmp_path: Path):
    root = tmp_path / "root"
    for directory in ("bin", "lib", "lib64", "usr"):
        (root / directory).mkdir(parents=True)
    (root / "hello").write_text("from the image\n")
    libraries = (
        Mount("/usr", Path("/usr"), True),
        Mount("/lib", Path("/lib"), True),
        Mount("/lib64", Path("/lib64"), True),
    )
    printed = await shell.run("cat /hello; ls -A /", root=root, mounts=libraries)
    assert printed.startswith("from the image\n") and "etc" not in printed.split()
    assert not (root / "proc").exists()


async def test_a_nodes_private_files_are_its_own(shell: PodShell, tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "net.d").mkdir()
    target = f"/etc/fabric-{uuid.uuid4().hex}/net.d"
    mounts = (Mount("/run", tmp_path / "run"), Mount(target, tmp_path / "net.d"))
    await shell.client.start_node(HostSpec("node-2", mounts))
    session = await shell.client.exec_node("node-2", ["sh", "-c", f"echo x > /run/x; echo y > {target}/y"])
    assert await session.wait() == 0
    assert ((tmp_path / "run" / "x").read_text(), (tmp_path / "net.d" / "y").read_text()) == ("x\n", "y\n")
    assert not is_on_host(target)


async def test_identity_directory_and_environment_are_as_asked(shell: PodShell):
    printed = await shell.run(
        "id -u; id -g; id -G; pwd; echo $MODE $HOME",
        uid=1000,
        gid=3000,
        cwd="/made/here",
        env={"MODE": "demo"},
    )
    assert printed.split() == ["1000", "3000", "3000", "/made/here", "demo", "/"]


async def test_root_in_a_container_has_a_containers_capabilities(shell: PodShell):
    printed = await shell.run("grep CapEff /proc/self/status; sh -c 'grep CapEff /proc/self/status'")
    assert printed.split() == ["CapEff:", "00000000a00425fb"] * 2
    assert await shell.run("grep CapEff /proc/self/status", uid=1000) == "CapEff:\t0000000000000000\n"


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (("no-such-program",), 127, 'exec: "no-such-program": executable file not found in $PATH'),
        (("/no/such",), 127, 'exec: "/no/such": stat /no/such: no such file or directory'),
        (("/etc/passwd",), 126, 'exec: "/etc/passwd": permission denied'),
        (("/etc",), 126, 'exec: "/etc": permission denied'),
    ],
)
async def test_a_program_that_cannot_start_says_why(
    shell: PodShell, argv: tuple[str, ...], code: int, message: str
):
    status = await shell.client.start_container(shell.spec(*argv))
    assert (status.state, status.exit_code, status.reason, status.message) == (
        "exited",
        code,
        "StartError",
        message,
    )
    assert (await ended(shell.client, status.id)).exit_code == code
