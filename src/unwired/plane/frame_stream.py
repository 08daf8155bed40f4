"""Frames over one TLS stream: cut out of what comes, as fast as they can be dealt with and no faster."""

import asyncio
import socket
from typing import Protocol

from unwired.wire.state_synchronization import FRAME_SIZE_MAX, LENGTH_SIZE

_WRITE_BUFFER = 256 * 1024
_SLICE_S = 0.005
"""Frames that came are worked on for so long before everybody else gets a turn."""


class Owner(Protocol):
    """Whoever a stream reports to."""

    def joined(self, stream: "FrameStream", certificate: bytes | None) -> None:
        """It is up; ``certificate`` is the other end's in DER, verified."""

    def received(self, stream: "FrameStream", frame: bytes) -> bool:
        """A frame without its length; returns whether the stream goes on."""

    def accepting(self, stream: "FrameStream") -> bool:
        """Whether more may be read now."""

    def oversized(self, stream: "FrameStream", size: int) -> None:
        """The next frame would be longer than any may be."""

    def writable(self, stream: "FrameStream", writable: bool) -> None:
        """Whether it takes more data now."""

    def lost(self, stream: "FrameStream", error: Exception | None) -> None:
        """It is over."""


class FrameStream(asyncio.Protocol):
    """To one member. asyncio sets TCP_NODELAY on its transports."""

    def __init__(self, owner: Owner, member: int, loop: asyncio.AbstractEventLoop) -> None:
        self.member = member
        self.closed: asyncio.Future[None] = loop.create_future()
        self.was_open = False
        """Set by the owner: the other end was taken for the member that it is."""
        self.held_up = False
        """Nothing is read until more of what came is durable here."""
        self._owner = owner
        self._loop = loop
        self._buffer = bytearray()
        self._waiting: asyncio.Handle | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def socket(self) -> socket.socket | None:
        return None if self._transport is None else self._transport.get_extra_info("socket")

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"no stream: {transport}")
        self._transport = transport
        transport.set_write_buffer_limits(high=_WRITE_BUFFER)
        self._owner.joined(self, transport.get_extra_info("ssl_object").getpeercert(True))

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._transport = None
        self._owner.lost(self, error)
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        self._owner.writable(self, False)

    def resume_writing(self) -> None:
        self._owner.writable(self, True)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._waiting is None:
            self.work()

    def work(self) -> None:
        """Hand over what has come, for a short while."""
        self._waiting = None
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        until = self._loop.time() + _SLICE_S
        buffer, at = self._buffer, 0
        go_on = True
        while go_on and self._owner.accepting(self) and len(buffer) - at >= LENGTH_SIZE:
            size = int.from_bytes(buffer[at : at + LENGTH_SIZE])
            if size > FRAME_SIZE_MAX:
                self._owner.oversized(self, size)
                return
            end = at + LENGTH_SIZE + size
            if end > len(buffer):
                break
            if self._loop.time() > until:
                self._waiting = self._loop.call_soon(self.work)
                break
            go_on = self._owner.received(self, bytes(buffer[at + LENGTH_SIZE : end]))
            at = end
        del buffer[:at]
        self.held_up = go_on and not self._owner.accepting(self)
        if self.held_up or self._waiting is not None:
            transport.pause_reading()
        else:
            transport.resume_reading()
