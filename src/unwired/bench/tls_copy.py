"""The ceiling of ``bench/sync.py``: bytes over TLS 1.3 between two processes, and nothing else.

``python -m unwired.bench.tls_copy DIRECTORY`` serves; ``copy`` and ``message_ms`` ask it. Frames of the size of the
mesh's, the same event loop, the same certificates.
"""

import asyncio
import ssl
import statistics
import sys
import time
from pathlib import Path

from unwired.bench.sync_member import HOLDER, JOINER, locators

_PORT = 7692
_FRAME = 18_000
_MESSAGE = 100
"""Bytes of a frame with one record."""
_MESSAGES = 200


def context(directory: Path, number: int) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if number == HOLDER else ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_cert_chain(directory / f"member-{number}.crt", directory / f"member-{number}.key")
    made.load_verify_locations(directory / "authority.crt")
    return made


async def _open(directory: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(locators()[0], _PORT, ssl=context(directory, JOINER))


async def copy(directory: Path, size: int) -> float:
    """Seconds until so many bytes are here, the connection included."""
    began = time.monotonic()
    reader, writer = await _open(directory)
    writer.write(size.to_bytes(8))
    while size > 0:
        size -= len(await reader.read(1 << 18))
    taken = time.monotonic() - began
    writer.close()
    return taken


async def message_ms(directory: Path) -> float:
    """Half the round trip of a short message, on median."""
    reader, writer = await _open(directory)
    taken = []
    for _ in range(_MESSAGES):
        began = time.monotonic()
        writer.write(_MESSAGE.to_bytes(8))
        await reader.readexactly(_MESSAGE)
        taken.append((time.monotonic() - began) / 2 * 1000)
    writer.close()
    return statistics.median(taken)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            size = int.from_bytes(await reader.readexactly(8))
            while size > 0:
                writer.write(bytes(min(size, _FRAME)))
                size -= _FRAME
                await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        writer.close()


async def main() -> None:
    directory = Path(sys.argv[1])
    async with await asyncio.start_server(_serve, locators()[0], _PORT, ssl=context(directory, HOLDER)) as server:
        print("ready", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
