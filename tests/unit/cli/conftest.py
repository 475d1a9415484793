import pytest
from support.command_line import CommandLine


@pytest.fixture
def fabric(monkeypatch, capsys, tmp_path):
    """The command line, for clusters below a folder of the test's own."""
    return CommandLine(monkeypatch, capsys, tmp_path)
