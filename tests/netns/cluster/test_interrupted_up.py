"""Ctrl-C in `fabric up`: the command ends with 130, and says what goes on and how to end it."""

import asyncio
import signal
import subprocess
import sys

from support.clusters import TOP, Cluster, fabric
from support.eventually import eventually


def test_an_interrupted_up_says_that_the_cluster_goes_on_coming_up(tmp_path):
    cluster = Cluster(tmp_path, nodes=6)
    argv = [sys.executable, "-P", "-m", "fabric", "up", str(cluster.file)]
    up = subprocess.Popen(argv, cwd=TOP, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        asyncio.run(eventually((cluster.run_folder / "api.sock").exists, seconds_max=20))
        up.send_signal(signal.SIGINT)
        _, told = up.communicate(timeout=30)
        assert up.returncode == 130
        assert "Traceback" not in told
        assert f"fabric down {cluster.name} ends it" in told
        assert cluster.up()["nodes"], "it went on, and another `up` finds it"
    finally:
        up.kill()
        up.wait()
        assert fabric("down", cluster.name).returncode == 0
