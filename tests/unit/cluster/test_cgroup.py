import os
import subprocess
import sys

from fabric.cluster.cgroup import start_time


def test_a_living_process_began_at_some_time_and_keeps_it():
    assert start_time(os.getpid()) == start_time(os.getpid()) > 0


def test_a_process_that_is_dead_and_not_reaped_is_gone():
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert start_time(child.pid) == 0
    child.wait()
    assert start_time(child.pid) == 0
