"""The modules that the runtime's process loads: few, so that it is small and each of its forks is cheap."""

import json
import subprocess
import sys
from pathlib import Path

HEAVY = {"asyncio", "dataclasses", "inspect", "logging", "subprocess", "typing"}
TOP = Path(__file__).parents[3]
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import fabric.runtime.server, json
print(json.dumps(list(sys.modules)))
"""


def test_the_runtime_loads_neither_typing_nor_asyncio():
    command = [sys.executable, "-S", "-E", "-I", "-c", PROGRAM, str(TOP)]
    loaded = set(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    assert "fabric.runtime.server" in loaded
    assert loaded & HEAVY == set()
