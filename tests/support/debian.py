"""Packages of any Debian suite, unpacked into a folder: from the mirror that apt knows, signed as ever.

What is installed on this machine does not matter, and does not change.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SECONDS_MAX = 180


def debian_package(package: str, suite: str, folder: Path) -> None:
    """Unpack the suite's newest version. CalledProcessError or ValueError when it cannot be had."""
    apt = folder / ".apt"
    for part in ("lists/partial", "archives/partial"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    sources = apt / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n")
    options = [
        *("-o", f"Dir::Etc::SourceList={sources}", "-o", "Dir::Etc::SourceParts=/dev/null"),
        *("-o", f"Dir::State::Lists={apt / 'lists'}", "-o", f"Dir::Cache={apt}"),
        *("-o", "Dir::State::status=/dev/null", "-o", "Acquire::Languages=none"),
        *("-o", "APT::Sandbox::User=root"),
    ]
    _run("apt-get", *options, "update", where=apt)
    _run("apt-get", *options, "download", package, where=apt)
    (archive,) = apt.glob(f"{package}_*.deb")
    _run("dpkg", "-x", str(archive), str(folder), where=apt)
    _run("rm", "-rf", str(apt), where=folder)


def _mirror() -> str:
    """Where this machine has Debian's main archive from."""
    asked = [
        *("apt-get", "indextargets", "--format", "$(REPO_URI)"),
        *("Created-By: Packages", "Origin: Debian", "Label: Debian"),
    ]
    known = _run(*asked).split()
    if not known:
        # A machine that has never asked for its packages' list asks now.
        _run("apt-get", "update")
        known = _run(*asked).split()
    if not known:
        raise ValueError("apt knows no mirror of Debian: see /etc/apt/sources.list, and run apt-get update")
    return known[0]


def _run(*words: str, where: Path | None = None) -> str:
    done = subprocess.run(words, cwd=where, check=True, capture_output=True, timeout=SECONDS_MAX)
    return done.stdout.decode()
