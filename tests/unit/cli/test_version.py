"""`fabric --version`."""

from typer.testing import CliRunner

import fabric
from fabric.cli.main import app


def test_the_version_is_the_packages():
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"fabric {fabric.__version__}\n")
