"""The version that this Calico calls itself, in ClusterInformation and in calicoctl's reports."""

from __future__ import annotations

from pathlib import Path

from fabric import __version__

VERSION = f"fabric-{__version__}"
UNKNOWN = "unknown"
COMMIT_LENGTH = 9


def git_commit(start: Path = Path(__file__)) -> str:
    """The commit of the checkout that this file is in, shortened as Calico's; `unknown` outside of one."""
    for folder in start.parents:
        if (folder / ".git").exists():
            return _head(folder / ".git")[:COMMIT_LENGTH] or UNKNOWN
    return UNKNOWN


def _head(git: Path) -> str:
    """The commit that HEAD names; in a worktree `.git` is a file that says where the folder is."""
    try:
        if git.is_file():
            git = git.parent / git.read_text().removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref:"):
            return head
        name = head.removeprefix("ref:").strip()
        shared = git / (git / "commondir").read_text().strip() if (git / "commondir").exists() else git
        if (shared / name).exists():
            return (shared / name).read_text().strip()
        packed = (shared / "packed-refs").read_text().splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {name}")), "")
    except OSError:
        return ""
