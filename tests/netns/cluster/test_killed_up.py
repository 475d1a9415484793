"""`fabric up` may be killed at any moment: the next one finishes what it began, or `down` removes it."""

import random
import subprocess
import sys
import time

from support.clusters import TOP, host_state

SEED = 7
KILL_POINTS = 30
SECONDS_OF_UP = 2.5
TRIES_MAX = 200


def killed_up(cluster, seconds):
    """Start `fabric up` and SIGKILL it after that time; False when it had ended before."""
    argv = [sys.executable, "-P", "-m", "fabric", "up", str(cluster.file)]
    nothing = subprocess.DEVNULL
    with subprocess.Popen(argv, cwd=TOP, stdin=nothing, stdout=nothing, stderr=nothing) as started:
        time.sleep(seconds)
        was_running = started.poll() is None
        started.kill()
    return was_running


def test_up_killed_at_random_moments_leaves_what_up_finishes_and_down_removes(fresh):
    before = host_state()
    moments = random.Random(SEED)
    point = 0
    for _ in range(TRIES_MAX):
        if not killed_up(fresh, moments.uniform(0.05, SECONDS_OF_UP)):
            continue
        point += 1
        if point % 3 == 0:
            report = fresh.up()
            assert report["reachability"]["reached"] == 12, f"kill point {point}"
        if point % 2 == 0:
            assert fresh.down().returncode in (0, 2), f"kill point {point}"
            assert fresh.leftovers() == [], f"kill point {point}"
        if point == KILL_POINTS:
            break
    assert point == KILL_POINTS
    fresh.down()
    assert fresh.leftovers() == []
    assert host_state() == before
