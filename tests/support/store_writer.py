"""A child process that writes to a SqliteStore until it is killed, and says what was acknowledged.

Each transaction writes the same number to the three keys of a writer; once it is acknowledged, a line
`<writer> <number>` goes to stdout in one write.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from fabric.store.port import Put
from fabric.store.sqlite import SqliteStore

WRITERS = 8
SIDES = ("left", "middle", "right")


async def write(store: SqliteStore, writer: int, number: int) -> None:
    while True:
        number += 1
        value = b"%d " % number + b"v" * 2_000
        await store.txn((), [Put(f"/{writer}/{side}", value) for side in SIDES])
        os.write(1, f"{writer} {number}\n".encode())


async def main(path: Path, number: int) -> None:
    store = await SqliteStore.open(path)
    async with asyncio.TaskGroup() as group:
        for writer in range(WRITERS):
            group.create_task(write(store, writer, number))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
