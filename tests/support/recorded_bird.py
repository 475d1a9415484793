"""A BIRD that answers on a control socket as a recorded one did, for a node of a cluster of files."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fabric.cluster.paths import ClusterPaths
from support.bird_transcripts import transcript


def configured(paths: ClusterPaths, host: str, *, folder: str = "calico") -> Path:
    """Give a host the configuration of a daemon; return where its control socket is looked for."""
    run = paths.node(host) / "run" / folder
    run.mkdir(parents=True)
    (run / "bird.conf").touch()
    return run / "bird.ctl"


@asynccontextmanager
async def answering(paths: ClusterPaths, host: str, name: str = "established") -> AsyncIterator[None]:
    """Have the transcript's daemon run on a host while the body runs."""
    said = transcript(name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said[""])
        while command := (await reader.readline()).decode().strip():
            writer.write(said.get(command, b"9001 syntax error\n"))
        writer.close()

    # The path of a socket is short, those of a test's folder are not.
    with tempfile.TemporaryDirectory() as short:
        configured(paths, host).symlink_to(Path(short) / "bird.ctl")
        async with await asyncio.start_unix_server(serve, Path(short) / "bird.ctl"):
            yield
