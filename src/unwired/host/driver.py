"""Drives one engine: packets and events in, actions out. The daemon's hot path.

Packets are read and handed over in batches; then the engine's actions are carried out in order, its records go to the
journal in one piece, and what waits for them to be durable is released when the disk has them.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, get_args

from unwired.core.door import (
    Action,
    ActionFailed,
    CountTunnel,
    Engine,
    Event,
    HostAction,
    Notify,
    Now,
    Persist,
    Persisted,
    Send,
    SetAction,
    TunnelCounted,
)
from unwired.core.forwarding import ForwardingAction
from unwired.core.notices import Drop
from unwired.dataplane.punted import TooBig, decode_punted
from unwired.dataplane.table import DataplaneError, ForwardingTable
from unwired.host.fragments import Reassembled, send_in_fragments
from unwired.host.notice_board import NoticeBoard
from unwired.host.sockets import BATCH, NeighborDiscovery, Sender
from unwired.store.journal import Journal
from unwired.wire.datagram import encode_datagram, route_of
from unwired.wire.errors import DecodeError
from unwired.wire.ipv6 import Packet, decode_packet

_PACKET_MAX = 65_535
_ROUNDS = 16
"""How often failed actions may lead to more before everybody else gets a turn."""


class HostRole(Protocol):
    """The role's half of the host: see ``HomeAgentHost`` and ``MobileNodeHost``."""

    def carry_out(self, action: HostAction) -> None: ...

    def observe(self, event: Event) -> None: ...

    def heard(self, packet: Packet, interface: int) -> None: ...


def now() -> Now:
    return Now(time.monotonic(), time.time())


class Driver:
    """``drops`` counts what never reached the engine."""

    def __init__(
        self,
        table: ForwardingTable,
        punted: int,
        sender: Sender,
        discovery: NeighborDiscovery,
        reassembled: Reassembled,
        journal: Journal,
        board: NoticeBoard,
    ) -> None:
        self._table = table
        self._punted = punted
        self._sender = sender
        self._discovery = discovery
        self._reassembled = reassembled
        self._journal = journal
        self._board = board
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._engine: Engine
        self._host: HostRole
        self._records: list[Persist] = []
        self.drops: Counter[str] = Counter()
        self.counters: Counter[str] = Counter()
        self._handlers: Final[dict[type, Callable[[Any], None]]] = {
            Send: self._send,
            Persist: self._records.append,
            Notify: self._notify,
            CountTunnel: self._count_tunnel,
        }

    def drive(self, engine: Engine, host: HostRole) -> None:
        """From now on this engine."""
        self._reassembled.listened.clear()
        self._engine = engine
        self._host = host

    def join(self, carry_out: Callable[[SetAction], None]) -> None:
        """From now on, what a member asks of its set is carried out so."""
        for kind in get_args(SetAction):
            self._handlers[kind] = carry_out

    def start(self) -> None:
        self._loop.add_reader(self._punted, self.punt_readable)
        self._loop.add_reader(self._discovery.fileno(), self.discovery_readable)

    def stop(self) -> None:
        self._loop.remove_reader(self._punted)
        self._loop.remove_reader(self._discovery.fileno())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- in --------------------------------------------------------------------------------------------------------

    def punt_readable(self) -> None:
        """One packet a read; the punt device does not say by which interface it came."""
        read, descriptor, receive = os.read, self._punted, self._engine.receive
        moment = now()
        for _ in range(BATCH):
            try:
                data = read(descriptor, _PACKET_MAX)
            except BlockingIOError:
                break
            except OSError as error:
                self._board.say("punt_device_failed", reason=str(error))
                self._loop.remove_reader(descriptor)
                break
            try:
                punted = decode_punted(data)
            except DecodeError:
                self.drops[Drop.MALFORMED] += 1
                continue
            if isinstance(punted, TooBig):
                if punted.goes_in_fragments:
                    self._send_in_fragments(punted)
                    continue
                packet, via = punted.error(), None
            else:
                packet, via = punted
            receive(packet, 0, moment, via)
        self.perform()

    def discovery_readable(self) -> None:
        moment = now()
        heard: list[tuple[Packet, int]] = []
        for data, interface in self._discovery.read():
            try:
                packet = decode_packet(data)
            except DecodeError:
                self.drops[Drop.MALFORMED] += 1
                continue
            self._engine.receive(packet, interface, moment)
            heard.append((packet, interface))
        self.perform()
        for packet, interface in heard:
            self._host.heard(packet, interface)

    def handle(self, events: Iterable[Event]) -> None:
        """Tell the engine, then do what follows."""
        moment = now()
        for event in events:
            self._host.observe(event)
            self._engine.handle(event, moment)
        self.perform()

    def journal_turned(self) -> None:
        """The journal has something to say. Raises JournalError."""
        token = self._journal.turn()
        if token is not None:
            self._engine.handle(Persisted(token), now())
            self.perform()

    # --- out -------------------------------------------------------------------------------------------------------

    def perform(self) -> None:
        """Carry out the engine's actions, and those that their failures lead to, and set the timer."""
        handlers, other = self._handlers, self._other
        for _ in range(_ROUNDS):
            actions = self._engine.actions()
            if not actions:
                break
            for action in actions:
                handlers.get(type(action), other)(action)
        else:
            self._loop.call_soon(self.perform)
        if self._records:
            self._journal.write(self._records)
            self._records.clear()
        self._set_timer()

    def _send(self, action: Send) -> None:
        packet = action.packet
        try:
            self._sender.send(encode_datagram(packet), *route_of(packet), action.interface)
        except BlockingIOError:
            self.counters["send_queue_full"] += 1
        except (OSError, ValueError) as error:
            self.counters["send_failed"] += 1
            self._failed(action, error)

    def _send_in_fragments(self, packet: TooBig) -> None:
        try:
            send_in_fragments(packet, self._sender)
            self.counters["sent_in_fragments"] += 1
        except OSError:
            self.counters["fragments_failed"] += 1

    def _notify(self, action: Notify) -> None:
        self._board.publish(action.notice, time.time())

    def _count_tunnel(self, action: CountTunnel) -> None:
        carried = self._table.tunnel_counters(action.number)
        self._engine.handle(TunnelCounted(action.number, carried.packets_sent, carried.packets_received), now())

    def _other(self, action: Any) -> None:
        try:
            if isinstance(action, ForwardingAction):
                self._table.apply(action)
                self._reassembled.observe(action)
            else:
                self._host.carry_out(action)
        except (OSError, DataplaneError) as error:
            self._failed(action, error)

    def _failed(self, action: Action, error: Exception) -> None:
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        self._engine.handle(ActionFailed(action, reason), now())

    # --- time ------------------------------------------------------------------------------------------------------

    def _set_timer(self) -> None:
        at = self._engine.deadline()
        if at == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = None if at is None else self._loop.call_at(at, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = self._timer_at = None
        self.wake()

    def wake(self) -> None:
        """Tell the engine the time; harmless before its deadline."""
        self._engine.wake(now())
        self.perform()
