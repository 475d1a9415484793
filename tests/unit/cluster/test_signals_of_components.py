"""A cluster's processes take signals as new programs do, whatever `fabric up` was started with."""

import subprocess
import sys

UNDER_NOHUP = """
import signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
from fabric.cluster import supervisor
supervisor._reset_signals()
ignored = {s for s in signal.valid_signals() if signal.getsignal(s) is signal.SIG_IGN}
print(ignored - {signal.SIGPIPE, signal.SIGXFSZ}, signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


def test_an_ignored_signal_and_a_mask_are_not_inherited():
    ran = subprocess.run([sys.executable, "-c", UNDER_NOHUP], capture_output=True, text=True, check=True)
    assert ran.stdout == "set() set()\n"
