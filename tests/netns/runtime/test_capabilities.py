"""A container has the capabilities that its specification says, in the sets in which runc puts them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.pod_shell import PodShell

from fabric.runtime.processes.capabilities import DEFAULT, DEFAULT_NAMES, NUMBERS, mask


def sets(text: str) -> dict[str, int]:
    return {key[:6]: int(value, 16) for key, value in (x.split(":\t") for x in text.splitlines())}


SHOW = "grep ^Cap /proc/self/status"


def test_numbers_are_the_kernels():
    assert int(Path("/proc/sys/kernel/cap_last_cap").read_text()) >= NUMBERS["CHECKPOINT_RESTORE"] == 40
    assert mask(None) == DEFAULT == mask(list(DEFAULT_NAMES)) == 0xA80425FB & ~(1 << NUMBERS["MKNOD"])


async def test_the_default_set_is_containerds(shell: PodShell):
    found = sets(await shell.run(SHOW))
    assert (found["CapEff"], found["CapPrm"]) == (DEFAULT, DEFAULT)


@pytest.mark.parametrize("names", [(), ("NET_RAW",), ("NET_ADMIN", "SYS_TIME", "NET_BIND_SERVICE")], ids=str)
async def test_a_chosen_set_bounds_root(shell: PodShell, names: tuple[str, ...]):
    kept = mask(list(names))
    found = sets(await shell.run(SHOW, capabilities=names))
    assert found == {"CapInh": 0, "CapPrm": kept, "CapEff": kept, "CapBnd": kept, "CapAmb": 0}


async def test_another_user_than_root_has_none_in_effect(shell: PodShell):
    kept = mask(["NET_ADMIN"])
    found = sets(await shell.run(SHOW, capabilities=("NET_ADMIN",), uid=1000, gid=1000))
    assert found == {"CapInh": 0, "CapPrm": 0, "CapEff": 0, "CapBnd": kept, "CapAmb": 0}


async def test_net_admin_lets_a_pod_set_its_own_network_and_its_lack_does_not(shell: PodShell):
    add = "ip link add dummy0 type bridge 2>&1 && echo done || echo refused"
    assert (await shell.run(add)).splitlines()[-1] == "refused"
    assert (await shell.run(add, capabilities=(*DEFAULT_NAMES, "NET_ADMIN"))).splitlines()[-1] == "done"


async def test_a_program_beside_the_container_has_the_same(shell: PodShell):
    started = await shell.start("sleep", "1000", capabilities=("CHOWN",))
    code, text = await shell.exec(started.id, SHOW)
    assert (code, sets(text)["CapBnd"], sets(text)["CapEff"]) == (0, 1, 1)


async def test_a_program_beside_a_pause_container_has_the_same(shell: PodShell):
    started = await shell.start("catatonit", "-P", capabilities=("CHOWN",))
    code, text = await shell.exec(started.id, SHOW)
    assert (code, sets(text)["CapBnd"], sets(text)["CapEff"]) == (0, 1, 1)
