from ipaddress import IPv4Address
from pathlib import Path

import pytest

from fabric.bird.client import BirdAway, BirdRefused
from fabric.bird.config import Config
from fabric.bird.daemon import Daemon

OLD, NEW = Config(IPv4Address("192.168.0.1")), Config(IPv4Address("192.168.0.2"))


class ScriptedClient:
    """Notes what it is asked, and what the configuration file said at that time."""

    def __init__(self, daemon: Daemon, refuse_at: int = 0, error: Exception | None = None) -> None:
        self.asked: list[tuple[Path | None, bool, bool]] = []
        self._daemon, self._refuse_at, self._error = daemon, refuse_at, error

    async def configure(self, path: Path | None = None, *, check: bool = False) -> str:
        self.asked.append((path, check, self._daemon.runs(NEW)))
        if self._error and len(self.asked) == self._refuse_at:
            raise self._error
        return "Reconfigured"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_command_line_names_the_daemons_own_files():
    daemon = Daemon(Path("/var/lib/fabric/one/nodes/node-1/run/bird"), seen_as=Path("/run/bird"))
    assert daemon.argv == (
        "bird",
        "-f",
        *("-c", "/run/bird/bird.conf"),
        *("-s", "/run/bird/bird.ctl"),
        *("-P", "/run/bird/bird.pid"),
    )
    assert daemon.restart_argv == (*daemon.argv, "-R")
    assert daemon.check_argv == ("bird", "-p", "-c", "/run/bird/bird.conf")
    assert daemon.control_socket == daemon.folder / "bird.ctl"


async def test_a_configuration_may_have_a_place_of_its_own(tmp_path: Path):
    config = tmp_path / "etc/bird.cfg"
    config.parent.mkdir()
    daemon = Daemon(tmp_path / "run", Path("/run/bird"), config, Path("/etc/bird.cfg"))
    daemon.write(OLD)
    assert config.read_text() == str(OLD)
    assert daemon.argv[2:6] == ("-c", "/etc/bird.cfg", "-s", "/run/bird/bird.ctl")
    client = ScriptedClient(daemon)
    await daemon.reconfigure(client, NEW)
    assert client.asked == [(Path("/etc/bird.cfg.new"), True, False), (None, False, True)]
    assert daemon.runs(NEW) and names_in(config.parent) == ["bird.cfg"]


def test_the_configuration_is_its_owners_alone(tmp_path: Path):
    daemon = Daemon(tmp_path)
    assert not daemon.runs(OLD)
    daemon.write(OLD)
    daemon.write(NEW)
    assert daemon.runs(NEW) and not daemon.runs(OLD)
    assert daemon.config.stat().st_mode & 0o777 == 0o600
    assert names_in(tmp_path) == ["bird.conf"]


async def test_a_new_configuration_is_checked_before_it_takes_the_old_ones_place(tmp_path: Path):
    daemon = Daemon(tmp_path, seen_as=Path("/run/bird"))
    daemon.write(OLD)
    client = ScriptedClient(daemon)
    assert await daemon.reconfigure(client, NEW) == "Reconfigured"
    assert client.asked == [(Path("/run/bird/bird.conf.new"), True, False), (None, False, True)]


@pytest.mark.parametrize("error", [BirdRefused("syntax error", 8002), BirdAway("gone")])
async def test_a_configuration_that_is_not_taken_leaves_no_trace(tmp_path: Path, error: Exception):
    daemon = Daemon(tmp_path)
    daemon.write(OLD)
    with pytest.raises(type(error)):
        await daemon.reconfigure(ScriptedClient(daemon, 1, error), NEW)
    assert daemon.runs(OLD)
    assert names_in(tmp_path) == ["bird.conf"]


async def test_a_daemon_that_dies_after_the_check_starts_with_the_new_configuration(tmp_path: Path):
    daemon = Daemon(tmp_path)
    daemon.write(OLD)
    with pytest.raises(BirdAway):
        await daemon.reconfigure(ScriptedClient(daemon, 2, BirdAway("gone")), NEW)
    assert daemon.runs(NEW)
