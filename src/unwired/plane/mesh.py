"""The carrier that needs nothing installed: a TLS 1.3 stream between the locators of every two members.

What is said over the streams is decided in ``core/mesh.py``; here they are made, proven and kept. Of two members the
one with the smaller locator connects and the other one listens. Both ends must have a certificate that the set's own
authority signed and that names their locator, and the connection must come from that locator or go to it. A stream that
ends, or over which nothing was heard for seconds, is made again, with growing pauses between attempts.
"""

import asyncio
import random
import socket
import ssl
from collections import Counter
from collections.abc import Coroutine

from unwired.core.door import Event
from unwired.core.global_binding import BindingStore, GlobalBinding
from unwired.core.mesh import Close, Mesh, Transmit
from unwired.core.mesh_link import Refusal
from unwired.core.settings import HomeAgentSetSettings
from unwired.plane.carrier import PORT, CarrierError, LinkStatus, Listener
from unwired.plane.certificates import Credentials, names_only
from unwired.plane.frame_stream import FrameStream
from unwired.wire.address import Address, format_address, is_ipv4, parse_address
from unwired.wire.state_synchronization import FRAME_SIZE_MAX, LENGTH_SIZE

CONNECT_TIMEOUT_S = 5.0
HANDSHAKE_TIMEOUT_S = 5.0
RETRY_MIN_S, RETRY_MAX_S = 0.1, 1.0
HANDSHAKES_MAX = 4
"""Connections from one locator that are not authenticated yet."""
_BACKLOG = 1024
"""Connections that wait for the event loop's next turns. A crowd of strangers must not fill this: a member that finds
no place tries again after a second."""
_CLOSING_S = 1.0
_IP_FREEBIND, _IPV6_FREEBIND = 15, 78
"""linux/in.h, linux/in6.h: listen on a locator that the host does not have yet (duplicate address detection)."""


class MeshCarrier:
    """A ``plane.carrier.Carrier``, made where an event loop runs; everything happens in its thread."""

    def __init__(self, settings: HomeAgentSetSettings, credentials: Credentials, port: int = PORT) -> None:
        self._settings = settings
        self._credentials = credentials
        self._port = port
        self._own = settings.self.locator
        self._others = {
            number: member.locator for number, member in enumerate(settings.members, 1) if number != settings.own
        }
        self._callers = {locator: number for number, locator in self._others.items() if locator < self._own}
        self._streams: dict[int, FrameStream] = {}
        self._problems: dict[int, str] = {}
        self._handshakes: Counter[int] = Counter()
        self._counters: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
        self._turn_at: asyncio.Handle | None = None
        self._turn_soon = False
        self._loop = asyncio.get_running_loop()
        self._mesh = Mesh(settings, random.random)
        self._running = False
        self._tell: Listener

    # --- the carrier -------------------------------------------------------------------------------------------------

    async def start(self, listener: Listener, store: BindingStore) -> None:
        self._tell = listener
        server, client = self._contexts()
        if self._callers:
            self._listener = self._listen()
        self._running = True
        self._mesh.start(store, self._loop.time())
        if self._listener is not None:
            self._spawn(self._accept(self._listener, server))
        for member, locator in self._others.items():
            if locator > self._own:
                self._spawn(self._dial(member, locator, client))
        self._soon()

    async def stop(self) -> None:
        until = self._loop.time() + _CLOSING_S
        while self._loop.time() < until and any(
            self._mesh.waiting(member, 0.0)[0] for member in self._others if self._mesh.is_open(member)
        ):
            await asyncio.sleep(0.01)
        self._running = False
        if self._turn_at is not None:
            self._turn_at.cancel()
        for task in self._tasks:
            task.cancel()
        if self._listener is not None:
            self._listener.close()
        streams, self._streams = list(self._streams.values()), {}
        for stream in streams:
            stream.close()
        if streams:
            await asyncio.wait([stream.closed for stream in streams], timeout=_CLOSING_S)
        for stream in streams:
            stream.abort()

    def publish(self, token: int, record: GlobalBinding) -> None:
        self._mesh.publish(token, record, self._loop.time())
        self._soon()

    def kept(self, member: int, position: int, refused: tuple[Address, ...] = ()) -> None:
        self._mesh.kept(member, position, refused, self._loop.time())
        stream = self._streams.get(member)
        if stream is not None and stream.held_up:
            self._loop.call_soon(stream.work)
        self._soon()

    def share_key(self, epoch: int, key: bytes) -> None:
        self._mesh.share_key(epoch, key)
        self._soon()

    def links(self) -> dict[int, LinkStatus]:
        now = self._loop.time()
        found = {}
        for member in self._others:
            waiting, since = self._mesh.waiting(member, now)
            connected = self._mesh.is_open(member)
            problem = "" if connected else self._problems.get(member, "")
            found[member] = LinkStatus(connected, waiting, since * 1000, problem)
        return found

    def counters(self) -> dict[str, int]:
        return dict(self._counters + self._mesh.counters)

    def socket_of(self, member: int) -> socket.socket | None:
        """The TCP socket of the stream to a member, to look at: what it counts."""
        stream = self._streams.get(member)
        return None if stream is None else stream.socket

    # --- turns -------------------------------------------------------------------------------------------------------

    def _soon(self) -> None:
        """One turn for all that is asked for in this round of the event loop."""
        if not self._turn_soon and self._running:
            self._turn_soon = True
            self._wake_at(None)

    def _turn(self) -> None:
        self._turn_soon = False
        self._mesh.wake(self._loop.time())
        self.carry_out()

    def carry_out(self) -> None:
        """Do what the mesh wants, and have it woken when it wants that."""
        for output in self._mesh.outputs():
            if isinstance(output, Transmit):
                stream = self._streams.get(output.member)
                if stream is not None:
                    self._counters["bytes_sent"] += len(output.data)
                    stream.write(output.data)
            elif isinstance(output, Close):
                self._close(output)
            else:
                self._event(output)
        at = self._mesh.deadline()
        if at is not None and at <= self._loop.time():
            self._soon()
        elif at is not None and not self._turn_soon:
            self._wake_at(at)

    def _wake_at(self, at: float | None) -> None:
        """None: in the next round."""
        if self._turn_at is not None:
            self._turn_at.cancel()
            self._turn_at = None
        if self._running:
            self._turn_at = self._loop.call_soon(self._turn) if at is None else self._loop.call_at(at, self._turn)

    def _event(self, event: Event) -> None:
        if self._running:
            self._tell(event)

    def _close(self, output: Close) -> None:
        self._problems[output.member] = output.reason
        stream = self._streams.pop(output.member, None)
        if stream is not None and output.refusal in (Refusal.SILENT, Refusal.UNHEARD):
            stream.abort()
        elif stream is not None:
            stream.close()

    # --- streams -----------------------------------------------------------------------------------------------------

    def joined(self, stream: FrameStream, certificate: bytes | None) -> None:
        """A stream is up and its other end's certificate is the authority's: is it the member's own?"""
        member = stream.member
        if not self._running:
            stream.abort()
            return
        if certificate is None or not names_only(certificate, self._others[member]):
            self._refused(member, "certificate", "its certificate does not name its locator as only IP address")
            stream.abort()
            return
        self.carry_out()  # what is for the stream before goes there
        before = self._streams.get(member)
        self._streams[member] = stream
        if before is not None:
            before.abort()
        self._counters["connections"] += 1
        self._mesh.connected(member, self._loop.time())
        self._soon()

    def received(self, stream: FrameStream, frame: bytes) -> bool:
        """A frame came; whether the stream goes on."""
        if self._streams.get(stream.member) is not stream:
            return False
        self._counters["bytes_received"] += LENGTH_SIZE + len(frame)
        self._mesh.received(stream.member, frame, self._loop.time())
        stream.was_open = stream.was_open or self._mesh.is_open(stream.member)
        self.carry_out()
        return self._streams.get(stream.member) is stream

    def accepting(self, stream: FrameStream) -> bool:
        return self._mesh.accepting(stream.member)

    def oversized(self, stream: FrameStream, size: int) -> None:
        self._refused(stream.member, "oversized", f"a frame of {size} bytes where {FRAME_SIZE_MAX} are the most")
        stream.abort()

    def writable(self, stream: FrameStream, writable: bool) -> None:
        if self._streams.get(stream.member) is stream:
            self._mesh.writable(stream.member, writable)
            self._soon()

    def lost(self, stream: FrameStream, error: Exception | None) -> None:
        member = stream.member
        if self._streams.get(member) is not stream:
            return
        del self._streams[member]
        what = "the connection was lost" if stream.was_open else "it did not accept us"
        self._problems[member] = f"{what}: {'it was closed' if error is None else _text(error)}"
        self._mesh.disconnected(member, self._loop.time())
        self._soon()

    def _refused(self, member: int, name: str, reason: str) -> None:
        self._counters[f"refused_{name}"] += 1
        self._problems[member] = reason

    def _failed(self, member: int, error: Exception, came: bool) -> None:
        """No stream came about; ``came``: the other end had connected to us."""
        if isinstance(error, ssl.SSLCertVerificationError):
            self._refused(member, "certificate", f"its certificate is not accepted: {error.verify_message}")
        elif came or isinstance(error, ssl.SSLError):
            self._refused(member, "handshake", f"TLS failed: {_text(error)}")
        else:
            self._counters["connections_failed"] += 1
            self._problems[member] = f"it can't be reached: {_text(error)}"

    # --- connecting --------------------------------------------------------------------------------------------------

    async def _dial(self, member: int, locator: Address, context: ssl.SSLContext) -> None:
        host, own = format_address(locator), format_address(self._own)
        pause = RETRY_MIN_S
        while True:
            stream = FrameStream(self, member, self._loop)
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await self._loop.create_connection(
                        lambda stream=stream: stream,  # type: ignore[misc]
                        host,
                        self._port,
                        ssl=context,
                        server_hostname=host,
                        local_addr=(own, 0),
                        ssl_shutdown_timeout=_CLOSING_S,
                    )
            except (OSError, TimeoutError) as error:
                self._failed(member, error, came=False)
            else:
                await stream.closed
                if stream.was_open:
                    pause = RETRY_MIN_S
            await asyncio.sleep(pause * (0.5 + random.random() / 2))
            pause = min(pause * 2, RETRY_MAX_S)

    def _listen(self) -> socket.socket:
        four = is_ipv4(self._own)
        listener = socket.socket(socket.AF_INET if four else socket.AF_INET6, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            level, option = (socket.IPPROTO_IP, _IP_FREEBIND) if four else (socket.IPPROTO_IPV6, _IPV6_FREEBIND)
            listener.setsockopt(level, option, 1)
            listener.bind((format_address(self._own), self._port))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            where = f"{format_address(self._own)} port {self._port}"
            raise CarrierError(f"the other members can't be awaited at {where}: {error.strerror}") from None
        listener.setblocking(False)
        return listener

    async def _accept(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        while True:
            try:
                connection, source = await self._loop.sock_accept(listener)
            except OSError:
                self._counters["accept_failed"] += 1
                await asyncio.sleep(RETRY_MIN_S)
                continue
            member = self._callers.get(parse_address(source[0].partition("%")[0]))
            if member is None or self._handshakes[member] >= HANDSHAKES_MAX:
                self._counters["refused_stranger" if member is None else "refused_handshakes_too_many"] += 1
                connection.close()
            else:
                self._handshakes[member] += 1
                self._spawn(self._admit(member, connection, context))
            await asyncio.sleep(0)  # accepting what waits already gives nobody else a turn

    async def _admit(self, member: int, connection: socket.socket, context: ssl.SSLContext) -> None:
        stream = FrameStream(self, member, self._loop)
        try:
            await self._loop.connect_accepted_socket(
                lambda: stream,
                connection,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
                ssl_shutdown_timeout=_CLOSING_S,
            )
        except (OSError, TimeoutError) as error:
            self._failed(member, error, came=True)
            connection.close()
        finally:
            self._handshakes[member] -= 1

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _contexts(self) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        """For those who connect to us, and for us who connect."""
        credentials = self._credentials
        found = []
        for side in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT):
            context = ssl.SSLContext(side)
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.verify_mode = ssl.CERT_REQUIRED
            try:
                context.load_cert_chain(credentials.certificate, credentials.private_key)
                context.load_verify_locations(credentials.authority)
            except (OSError, ValueError) as error:
                files = f"{credentials.certificate}, {credentials.private_key}, {credentials.authority}"
                raise CarrierError(f"the certificates can't be used ({files}): {_text(error)}") from None
            found.append(context)
        found[0].num_tickets = 0  # every stream is proven anew
        return found[0], found[1]


def _text(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
