from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.cluster.arp_limit import ArpLimit
from fabric.errors import FabricError


class Machine:
    """A machine's limit in a file, and the clusters that live on it."""

    def __init__(self, folder: Path, limit: int = 1024) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.value = folder / "gc_thresh3"
        self.value.write_text(f"{limit}\n")
        self.folder = folder
        self.limit = ArpLimit(folder, self.value)
        self.alive: set[str] = set()

    def up(self, name: str, entries: int, *, tune: bool = True) -> None:
        self.alive.add(name)
        self.limit.claim(name, entries, tune=tune)

    def down(self, name: str) -> None:
        self.alive.discard(name)
        self.limit.release(name, self.alive)

    @property
    def now(self) -> int:
        return int(self.value.read_text())

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path != self.value)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_the_limit_is_raised_while_the_cluster_lives_and_put_back_with_nothing_left(machine):
    machine.up("a", 3800)
    assert machine.now == 4096
    machine.down("a")
    assert machine.now == 1024
    assert machine.left == []


def test_entries_that_nobody_claims_have_room_beside_the_clusters(machine):
    machine.up("a", 4090)
    assert machine.now == 8192


def test_entries_served_kindss_add_up_and_the_last_puts_back_what_the_first_found(machine):
    machine.up("a", 3000)
    machine.up("b", 3000)
    assert machine.now == 8192
    machine.down("a")
    assert machine.now >= 3000
    machine.down("b")
    assert machine.now == 1024


def test_a_cluster_that_came_up_on_a_raised_limit_keeps_it(machine):
    machine.up("a", 3500)
    machine.up("b", 900, tune=False)
    machine.down("a")
    assert machine.now == 4096
    machine.down("b")
    assert machine.now == 1024


def test_nothing_is_written_where_nobody_tunes(machine):
    machine.up("a", 900, tune=False)
    machine.down("a")
    assert (machine.now, machine.left) == (1024, [])


def test_an_up_that_was_killed_before_it_raised_the_limit_is_undone_all_the_same(machine, monkeypatch):
    def killed(self, limit):
        raise KeyboardInterrupt

    monkeypatch.setattr(ArpLimit, "_set", killed)
    with pytest.raises(KeyboardInterrupt):
        machine.up("a", 4000)
    monkeypatch.undo()
    machine.down("a")
    assert (machine.now, machine.left) == (1024, [])


def test_a_cluster_that_vanished_without_down_holds_nothing(machine):
    machine.up("a", 4000)
    machine.alive.clear()
    machine.up("b", 100)
    machine.down("b")
    assert machine.now == 1024


def test_what_somebody_else_set_meanwhile_stays(machine):
    machine.up("a", 4000)
    machine.value.write_text("65536\n")
    machine.down("a")
    assert machine.now == 65536


def test_a_limit_that_cannot_be_set_is_an_error_that_names_it(tmp_path):
    machine = Machine(tmp_path)
    machine.value.unlink()
    machine.value.mkdir()
    with pytest.raises((FabricError, OSError)):
        machine.up("a", 4000)


steps = st.lists(
    st.tuples(st.sampled_from(["up", "tune", "down"]), st.sampled_from("abc"), st.integers(1, 9000)),
    max_size=12,
)


@given(steps)
def test_in_any_order_there_is_room_for_who_tuned_and_in_the_end_all_is_as_before(tmp_path_factory, steps):
    machine = Machine(tmp_path_factory.mktemp("machine"))
    tuned: dict[str, int] = {}
    for what, name, entries in steps:
        if what == "down":
            machine.down(name)
            tuned.pop(name, None)
        else:
            machine.up(name, entries, tune=what == "tune")
            if what == "tune":
                tuned[name] = entries
            elif name in tuned:
                tuned.pop(name)
        assert machine.now >= sum(tuned.values())
    for name in "abc":
        machine.down(name)
    assert (machine.now, machine.left) == (1024, [])
