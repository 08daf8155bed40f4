"""What the daemon counts, in Prometheus' text format (version 0.0.4), and the HTTP server that gives it to who scrapes.

Every counter and every drop reason is there from the start, so that a rate of it can be computed. Names and labels are
stable; docs/commands.md lists them.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from unwired.core.notices import Drop

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_REQUEST_WITHIN_S = 5.0
_REQUEST_MAX = 8192
_CLIENTS_MAX = 16


def exposition(status: Mapping[str, Any]) -> str:
    """The text, of what ``unwired status`` answers."""
    engine = status["engine"] or {}
    named = {"name": status["name"], "role": status["role"], "version": status["version"]}
    lines = [
        *_family("info", "gauge", "The daemon that answers.", [(named, 1)]),
        *_family("uptime_seconds", "gauge", "Since the daemon has started.", [({}, status["uptime_s"])]),
        *_family(
            "control_total",
            "counter",
            "What the daemon has received, sent and met, by kind.",
            (({"kind": kind}, count) for kind, count in sorted(status["counters"].items())),
        ),
        *_family(
            "drops_total",
            "counter",
            "Control packets dropped without an answer, by reason.",
            (({"reason": reason}, status["drops"].get(reason, 0)) for reason in sorted(Drop)),
        ),
        *_family(
            "data_plane_packets_total",
            "counter",
            "Packets by what became of them in the data plane.",
            (({"result": result}, count) for result, count in sorted(status["data_plane"]["counters"].items())),
        ),
        *_family("journal_commits_total", "counter", "Journal writes.", [({}, status["journal"]["commits"])]),
    ]
    if "bindings" in engine:
        states = (({"state": state}, count) for state, count in sorted(engine["entries"].items()))
        lines += _family("bindings", "gauge", "Entries of the binding cache by state.", states)
    if "registered" in engine:
        registered = int(engine["registered"])
        lines += _family("registered", "gauge", "Whether the home agent serves us.", [({}, registered)])
    return "\n".join(lines) + "\n"


def _family(name: str, kind: str, said: str, samples: Iterable[tuple[dict[str, Any], float]]) -> list[str]:
    full = f"unwired_{name}"
    return [f"# HELP {full} {said}", f"# TYPE {full} {kind}", *(f"{full}{_labels(by)} {n}" for by, n in samples)]


def _labels(labels: dict[str, Any]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(str(value))}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class MetricsServer:
    """Answers GET /metrics by HTTP/1.1, one request a connection; a few clients at once, and none waits for another."""

    def __init__(self, address: tuple[str, int], text: Callable[[], str]) -> None:
        self._address = address
        self._text = text
        self._server: asyncio.Server | None = None
        self._clients = 0

    async def start(self) -> None:
        """Raises OSError when the address can't be used."""
        self._server = await asyncio.start_server(self._client, *self._address, limit=_REQUEST_MAX)

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            if self._clients <= _CLIENTS_MAX:
                async with asyncio.timeout(_REQUEST_WITHIN_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._answer(head.split(b"\r\n", 1)[0].split(b" ")))
                    await writer.drain()
                    writer.write_eof()
                    await reader.read(_REQUEST_MAX)  # until the client has what it asked for
        except (OSError, TimeoutError, EOFError, ValueError, asyncio.LimitOverrunError):
            pass
        finally:
            self._clients -= 1
            writer.transport.abort()

    def _answer(self, request: list[bytes]) -> bytes:
        match request:
            case [b"GET" | b"HEAD" as method, path, version] if version.startswith(b"HTTP/1."):
                found = path.split(b"?", 1)[0] == b"/metrics"
                body = self._text() if found else "Metrics are at /metrics.\n"
                return _response("200 OK" if found else "404 Not Found", body, with_body=method == b"GET")
        return _response("405 Method Not Allowed", "Only GET is understood.\n", with_body=True)


def _response(status: str, body: str, with_body: bool) -> bytes:
    data = body.encode()
    fields = f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n"
    head = f"HTTP/1.1 {status}\r\n{fields}\r\n"
    return head.encode() + (data if with_body else b"")
