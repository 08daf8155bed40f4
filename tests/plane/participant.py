"""Whoever uses a carrier, as small as it can be: a store, a journal that turns when told to, and what was told."""

import asyncio
import time
from collections.abc import Callable
from hashlib import blake2b
from zlib import crc32

from unwired.core.door import BindingsHeld, BindingsReceived, Event, KeyShared, SetCurrent
from unwired.core.global_binding import GlobalBinding
from unwired.core.settings import HomeAgentSetSettings, Member
from unwired.plane.carrier import Carrier
from unwired.wire.address import Address, parse_address

BUCKETS = 256
T0 = float(int(time.time()))


def home_address(number: int) -> Address:
    return parse_address("2001:db8::")[:12] + number.to_bytes(4)


def binding(number: int, version: int, primary: Address, deleted: bool = False) -> GlobalBinding:
    care_of_address = parse_address("2001:db8:c::")[:8] + version.to_bytes(8)
    return GlobalBinding(
        home_address(number), care_of_address, primary, version, version, T0 + version, version % 65536, 105, deleted
    )


def settings_of(own: int, members: tuple[Member, ...], group_id: int = 7) -> HomeAgentSetSettings:
    return HomeAgentSetSettings(own, members, group_id)


class Participant:
    """``keeping`` False: the journal does not turn."""

    def __init__(self, carrier: Carrier) -> None:
        self.carrier = carrier
        self.records: dict[Address, GlobalBinding] = {}
        self.durable: dict[Address, GlobalBinding] = {}
        self.keeping = True
        self.received = 0
        self.deliveries: list[tuple[int, int]] = []
        self.held: dict[int, int] = {}
        self.current: list[SetCurrent] = []
        self.keys: dict[int, tuple[int, bytes]] = {}
        self.token = 0
        self.refusing: set[Address] = set()
        """Home addresses of which no record is taken here."""
        self.refused: dict[int, set[Address]] = {}
        """By member, what it has refused of ours."""
        self._unkept: list[BindingsReceived] = []
        self._digests = [0] * BUCKETS
        self._addresses: list[set[Address]] = [set() for _ in range(BUCKETS)]

    async def start(self) -> None:
        await self.carrier.start(self.told, self)

    async def restart(self, carrier: Carrier, keep_journal: bool = True) -> "Participant":
        """The same member as a new process."""
        await self.carrier.stop()
        again = Participant(carrier)
        if keep_journal:
            for record in self.durable.values():
                again.merge(record)
            again.keep()
        await again.start()
        return again

    def publish(self, record: GlobalBinding) -> int:
        self.token += 1
        self.merge(record)
        self.carrier.publish(self.token, record)
        return self.token

    def told(self, event: Event) -> None:
        if isinstance(event, BindingsReceived):
            self.received += len(event.records)
            self.deliveries.append((event.member, event.position))
            for record in event.records:
                if record.home_address not in self.refusing:
                    self.merge(record)
            self._unkept.append(event)
            if self.keeping:
                self.keep()
        elif isinstance(event, BindingsHeld):
            self.held[event.member] = max(self.held.get(event.member, 0), event.token)
            self.refused.setdefault(event.member, set()).update(event.refused)
        elif isinstance(event, SetCurrent):
            self.current.append(event)
        elif isinstance(event, KeyShared):
            self.keys[event.member] = (event.epoch, event.key)

    def keep(self) -> None:
        """The journal turns."""
        self.durable.update(self.records)
        unkept, self._unkept = self._unkept, []
        for event in unkept:
            refused = tuple(one.home_address for one in event.records if one.home_address in self.refusing)
            self.carrier.kept(event.member, event.position, refused)

    def merge(self, record: GlobalBinding) -> None:
        known = self.records.get(record.home_address)
        if known is not None and record.order <= known.order:
            return
        bucket = crc32(record.home_address) % BUCKETS
        self._digests[bucket] ^= _digest(record) ^ (0 if known is None else _digest(known))
        self._addresses[bucket].add(record.home_address)
        self.records[record.home_address] = record

    # --- BindingStore ---

    def digests(self) -> list[int]:
        return list(self._digests)

    def in_buckets(self, buckets: frozenset[int]) -> list[Address]:
        return [address for bucket in buckets for address in self._addresses[bucket]]

    def record(self, home_address: Address) -> GlobalBinding | None:
        return self.records.get(home_address)


def _digest(record: GlobalBinding) -> int:
    return int.from_bytes(blake2b(repr(record.order).encode() + record.home_address, digest_size=8).digest())


async def until(condition: Callable[[], bool], what: str, limit_s: float = 20.0) -> None:
    """Poll until a condition holds; a test that waits longer fails and says what for."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s:.0f} s: {what}"
        await asyncio.sleep(0.005)
