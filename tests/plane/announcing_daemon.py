"""A stand-in for the daemon: an Announcer told what to do line by line on stdin. ``status`` answers a line of JSON with
what it knows and what problems it was told of; an error at the start is a line, too.

    python announcing_daemon.py RUNTIME ANNOUNCEMENT_FILE
"""

import asyncio
import json
import sys
from pathlib import Path

from unwired.plane.announcement import AnnouncementError, Announcer
from unwired.plane.bgp import from_json


async def main(runtime: Path, file: Path) -> None:
    problems: list[str] = []
    announcer = Announcer(runtime, from_json(json.loads(file.read_text())), problems.append)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        await announcer.start()
        print("{}", flush=True)
    except AnnouncementError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    while line := (await reader.readline()).decode().strip():
        answer: dict[str, object] = {}
        if line == "announce":
            announcer.announce()
        elif line in ("withdraw", "drain"):
            announcer.withdraw(line == "drain", "the test wants it")
        elif line == "status":
            answer = announcer.status() | {"problems": problems}
        elif line == "reconfigure":
            try:
                await announcer.reconfigure(from_json(json.loads(file.read_text())))
            except AnnouncementError as error:
                answer = {"error": str(error)}
        elif line == "stop":
            await announcer.stop()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
