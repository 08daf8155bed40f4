"""One member of a home agent set for ``bench/sync.py``: the real engine, journal and mesh, and rows in memory.

``python -m unwired.bench.sync_member DIRECTORY NUMBER BINDINGS``: commands are lines on standard input, answers lines
of JSON. Member 1 holds the bindings, member 2 takes them over.

| command | answer |
|---|---|
| ``join`` | joins, and says when it is current and everything is in its journal |
| ``update RATE SECONDS`` | receives so many binding updates a second; says when, and what the socket counted |
| ``received`` | when which records came, since the last time |
"""

import asyncio
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unwired.bench.binding_updates import (
    HOME_AGENT,
    HOME_PREFIX,
    SECRET,
    SPI,
    Fleet,
    care_of_address,
    home_address,
    identifier,
)
from unwired.core.door import (
    BindingsKept,
    BindingsReceived,
    Event,
    Now,
    Persist,
    Persisted,
    Publish,
    SetCurrent,
    ShareKey,
)
from unwired.core.forwarding import ForwardingAction
from unwired.core.global_binding import GlobalBinding
from unwired.core.home_agent import HomeAgent
from unwired.core.settings import (
    Durability,
    HomeAgentSetSettings,
    HomeAgentSettings,
    HomePrefix,
    Member,
    SecurityAssociation,
    Subscriber,
)
from unwired.core.subscribers import Subscribers
from unwired.dataplane.table import MemoryTable
from unwired.plane.certificates import Credentials
from unwired.plane.mesh import MeshCarrier
from unwired.store.journal import Journal
from unwired.wire.address import parse_address
from unwired.wire.ipv6 import Packet, decode_packet
from unwired.wire.rfc4285 import ntp_timestamp

HOLDER, JOINER = 1, 2
_LIFETIME_S = 3600
_EARLIER_S = 60.0
"""The bindings that are taken over were registered this long ago."""
_AT_ONCE = 1000
_TICK_S = 0.001
_TCP_COUNTERS = struct.Struct("=QQII")
"""tcpi_bytes_acked, tcpi_bytes_received, tcpi_segs_out, tcpi_segs_in (linux/tcp.h)."""
_TCP_COUNTERS_AT = 120


def locators() -> tuple[str, str]:
    """Loopback addresses of this run's two members: the parent's process number makes them its own."""
    run = int(os.environ["UNWIRED_BENCH_RUN"])
    return f"127.{1 + run % 250}.{run // 250 % 250}.1", f"127.{1 + run % 250}.{run // 250 % 250}.2"


class BenchMember:
    def __init__(self, directory: Path, number: int, bindings: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._number = number
        self._bindings = bindings
        agents = (HOME_AGENT, HOME_AGENT[:-1] + "2")
        self._members = tuple(
            Member(f"member-{place}", parse_address(agents[place - 1]), parse_address(locators()[place - 1]))
            for place in (HOLDER, JOINER)
        )
        home_agent_set = HomeAgentSetSettings(number, self._members, 1, Durability.ONE_PEER)
        prefix, _, length = HOME_PREFIX.partition("/")
        settings = HomeAgentSettings(
            self._members[number - 1].address,
            (HomePrefix(parse_address(prefix), int(length)),),
            lifetime_max_s=_LIFETIME_S,
            bindings_max=bindings + 1,
            home_agent_set=home_agent_set,
        )
        associations = (SecurityAssociation(SPI, SECRET),)
        subscribers = Subscribers(
            Subscriber(identifier(place).encode(), home_address(place), associations) for place in range(bindings)
        )
        self._engine = HomeAgent(settings, subscribers, os.urandom)
        self._table = MemoryTable()
        self._journal = Journal(directory / f"journal-{number}.sqlite")
        self._journal.start(self._turn_journal_soon)
        names = (f"member-{number}.crt", f"member-{number}.key", "authority.crt")
        self._carrier = MeshCarrier(home_agent_set, Credentials(*(directory / name for name in names)))
        self._fleet = Fleet(bindings)
        self._written = self._durable = 0
        self._current = False
        self._received: list[tuple[int, int, float]] = []
        self._watching = False

    # --- the loop: as ``host/driver.py``, without a host ---

    def happened(self, event: Event) -> None:
        if self._watching and isinstance(event, BindingsReceived):
            at = time.monotonic()
            self._received += [
                (int.from_bytes(record.home_address[8:]), record.sequence, at) for record in event.records
            ]
        self._current = self._current or isinstance(event, SetCurrent)
        self._engine.handle(event, _now())
        self._perform()

    def _perform(self) -> None:
        records: list[Persist] = []
        for action in self._engine.actions():
            if isinstance(action, Persist):
                records.append(action)
            elif isinstance(action, Publish):
                self._carrier.publish(action.token, action.record)
            elif isinstance(action, BindingsKept):
                self._carrier.kept(action.member, action.position, action.refused)
            elif isinstance(action, ShareKey):
                self._carrier.share_key(action.epoch, action.key)
            elif isinstance(action, ForwardingAction):
                self._table.apply(action)
        if records:
            self._written = records[-1].token
            self._journal.write(records)

    def _turn_journal_soon(self) -> None:
        """Called in the journal's thread."""
        self._loop.call_soon_threadsafe(self._journal_turned)

    def _journal_turned(self) -> None:
        token = self._journal.turn()
        if token is not None:
            self._durable = token
            self._engine.handle(Persisted(token), _now())
            self._perform()

    # --- commands ---

    async def fill(self) -> None:
        """As if all had registered with this member a minute ago."""
        for start in range(0, self._bindings, _AT_ONCE):
            records = tuple(self._records(range(start, min(start + _AT_ONCE, self._bindings))))
            self.happened(BindingsReceived(JOINER, start + 1, records))
            await asyncio.sleep(0)
        while self._durable < self._written:
            await asyncio.sleep(_TICK_S)

    def _records(self, numbers: range) -> Iterator[GlobalBinding]:
        now = time.time() - _EARLIER_S
        version = ntp_timestamp(now)
        for number in numbers:
            yield GlobalBinding(
                home_address(number),
                care_of_address(number, 0),
                self._members[HOLDER - 1].locator,
                version,
                version,
                now + _LIFETIME_S,
                0,
                _LIFETIME_S // 4,
            )

    async def join(self) -> dict[str, Any]:
        began = time.monotonic()
        await self.reach_out()
        while not self._current:
            await asyncio.sleep(_TICK_S)
        current = time.monotonic()
        while self._durable < self._written:
            await asyncio.sleep(_TICK_S)
        self._watching = True
        return {
            "current_s": current - began,
            "durable_s": time.monotonic() - began,
            "bindings": self._engine.cache.in_use,
            "bytes": self._carrier.counters()["bytes_received"],
        }

    async def reach_out(self) -> None:
        store = self._engine.binding_store
        if store is None:
            raise RuntimeError("the engine is no member of a set")
        self._engine.start(_now())
        self._perform()
        await self._carrier.start(self.happened, store)

    async def update(self, rate: float, seconds: float) -> dict[str, Any]:
        total = round(rate * seconds)
        packets: list[Packet] = []
        before = self._socket_counters()
        sent: list[tuple[int, int, float]] = []
        began = time.monotonic()
        while len(sent) < total:
            due = min(total, int((time.monotonic() - began) * rate) + 1)
            while len(packets) < due:
                packets += self._fresh_updates(max(round(rate), 1))
            for place in range(len(sent), due):
                packet: Any = packets[place]
                number = int.from_bytes((packet.home_address or b"")[8:])
                sent.append((number, packet.payload.sequence, time.monotonic()))
                self._engine.receive(packet, 0, _now())
                self._perform()
            await asyncio.sleep(_TICK_S)
        while self._carrier.links()[JOINER].waiting:
            await asyncio.sleep(_TICK_S)
        after = self._socket_counters()
        counted = dict(zip(("sent", "received", "segments_out", "segments_in"), _minus(after, before), strict=True))
        return {"updates": sent, "accepted": self._engine.counters["binding_updates_accepted"], "socket": counted}

    def _fresh_updates(self, count: int) -> list[Packet]:
        """A second's: a home agent takes timestamps of only some seconds."""
        data = self._fleet.updates(count, True, time.time() + 1)
        size = len(data) // count
        return [decode_packet(data[start : start + size]) for start in range(0, len(data), size)]

    def received(self) -> dict[str, Any]:
        received, self._received = self._received, []
        return {"received": received}

    def _socket_counters(self) -> tuple[int, ...]:
        connection = self._carrier.socket_of(JOINER)
        if connection is None:
            raise RuntimeError("there is no stream to the other member")
        size = _TCP_COUNTERS_AT + _TCP_COUNTERS.size
        return _TCP_COUNTERS.unpack_from(
            connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size), _TCP_COUNTERS_AT
        )


def _minus(after: tuple[int, ...], before: tuple[int, ...]) -> list[int]:
    return [one - other for one, other in zip(after, before, strict=True)]


def _now() -> Now:
    return Now(time.monotonic(), time.time())


async def main() -> None:
    directory, number, bindings = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    member = BenchMember(directory, number, bindings)
    if number == HOLDER:
        await member.fill()
        await member.reach_out()
    print(json.dumps("ready"), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command, *arguments = line.split()
        if command == "join":
            answer = await member.join()
        elif command == "update":
            answer = await member.update(*map(float, arguments))
        else:
            answer = member.received()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
