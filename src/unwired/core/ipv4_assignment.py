"""IPv4 home addresses and mobile prefixes: whose they are, and who is given one (RFC 5555 sections 3.1.1, 3.2.1, 4.5).

| a mobile node has | from |
|---|---|
| an IPv4 home address of its own | ``Subscriber.home_address_ipv4`` |
| one that it is given when it asks | ``HomeAgentSettings.pool_ipv4`` |
| mobile prefixes of its own | ``Subscriber.mobile_prefixes_ipv4`` |
| one that it is given when it asks | ``HomeAgentSettings.mobile_prefix_pool_ipv4`` |

What was given is a mobile node's for good: the assignment has a record in the journal, which outlives the binding. It
is taken back only when a pool has nothing else left, from who has not been bound for the longest. In a home agent set
each member gives out of its own share, and learns from bindings what the others have given.
"""

import struct
from collections.abc import Callable, Sequence
from math import isfinite
from typing import NamedTuple

from unwired.core.door import Now
from unwired.core.ipv4_pool import Ipv4Pool, block_of, prefix_of
from unwired.core.roster import Roster
from unwired.core.settings import HomeAgentSettings, Prefix, Subscriber
from unwired.core.subscribers import SubscriberLookup
from unwired.wire.address import (
    IPV4_BITS,
    UNSPECIFIED_IPV4,
    V4_MAPPED,
    Address,
    in_prefix,
    is_unicast_routable,
    network,
)
from unwired.wire.rfc5555 import Ipv4AddressAcknowledgement, Ipv4HomeAddress, Ipv4HomeAddressStatus

MOBILE_PREFIX_LENGTH_MIN = IPV4_BITS + 24
"""Who asks for a larger prefix is given one of this length: no mobile node empties the pool alone."""
_KEY = b"ipv4_assignment:"
_FORMAT = 1
#     format  address  prefix  its length, 0 for none  unbound since (seconds since 1970)
_RECORD = struct.Struct("!B4s4sBd")
_NOBODY = b""
_SINGLE = 128


class Grant(NamedTuple):
    """What a binding gets, and how the options that asked for it are answered."""

    home_address: Address = UNSPECIFIED_IPV4
    mobile_prefix: Prefix | None = None
    answers: tuple[Ipv4AddressAcknowledgement, ...] = ()


class Assignment:
    """What one mobile node was given out of the pools."""

    __slots__ = ("address", "mobile_prefix", "unbound_at")

    def __init__(self) -> None:
        self.address: Address | None = None
        self.mobile_prefix: Prefix | None = None
        self.unbound_at = 0.0
        """When a binding with it ended, in seconds since 1970."""


class _Refused(Exception):
    def __init__(self, status: Ipv4HomeAddressStatus) -> None:
        super().__init__(status)
        self.status = status


def is_assignment_key(key: bytes) -> bool:
    """Whether a journal key is that of an assignment."""
    return key.startswith(_KEY)


class Ipv4Assignments:
    """Everybody's; ``keep(key, record)`` writes to the journal."""

    def __init__(
        self,
        settings: HomeAgentSettings,
        roster: Roster,
        subscribers: SubscriberLookup,
        keep: Callable[[bytes, bytes | None], None],
    ) -> None:
        self._settings = settings
        self._subscribers = subscribers
        self._keep = keep
        share = (roster.own - 1, len(roster.numbers)) if roster.is_set else (0, 1)
        self.addresses = Ipv4Pool(settings.pool_ipv4, share)
        self.prefixes = Ipv4Pool(settings.mobile_prefix_pool_ipv4, share)
        self._assignments: dict[Address, Assignment] = {}
        for address in self._reserved():
            start, size = block_of(address)
            if self.addresses.covers(start, size) and not self.addresses.overlapping(start, size):
                self.addresses.give(start, size, _NOBODY)

    def _reserved(self) -> list[Address]:
        """What is no mobile node's: networks, broadcast addresses and our own address."""
        found = [] if self._settings.address_ipv4 is None else [self._settings.address_ipv4]
        for prefix, length in (*self._settings.home_prefixes_ipv4, *self._settings.pool_ipv4):
            start, size = block_of(prefix, length)
            if size > 2:
                found += [start.to_bytes(16), (start + size - 1).to_bytes(16)]
        return found

    def of(self, home_address: Address) -> Assignment | None:
        """What the mobile node with this IPv6 home address was given."""
        return self._assignments.get(home_address)

    def owner(self, address: Address) -> Address | None:
        """The IPv6 home address of who has this IPv4 address for its own or was given it; also as part of a prefix."""
        subscriber = self._subscribers.by_home_address_ipv4(address)
        if subscriber is not None:
            return subscriber.home_address
        for pool in (self.addresses, self.prefixes):
            for found in pool.overlapping(*block_of(address)):
                return pool.owner(found) or None
        return None

    def is_home_address(self, address: Address) -> bool:
        """Whether an IPv4 address can be a mobile node's: of a home prefix, and not the home agent's."""
        return address != self._settings.address_ipv4 and any(
            in_prefix(address, *prefix) for prefix in self._settings.home_prefixes_ipv4
        )

    # --- who asks ---

    def grant(
        self, home_address: Address, subscriber: Subscriber | None, options: Sequence[Ipv4HomeAddress], now: Now
    ) -> Grant:
        """Decide upon the IPv4 home address options of a registration: one address and one prefix are bound at a time,
        further options refused. What is not asked for is not bound, but stays assigned."""
        address, prefix = UNSPECIFIED_IPV4, None
        answers = []
        for option in options:
            length = IPV4_BITS + option.prefix_length
            is_prefix = option.request_prefix or option.prefix_length != 32
            try:
                if not IPV4_BITS < length <= _SINGLE:
                    raise _Refused(Ipv4HomeAddressStatus.FAILURE_REASON_UNSPECIFIED)
                if option.address != UNSPECIFIED_IPV4 and not is_unicast_routable(option.address):
                    raise _Refused(Ipv4HomeAddressStatus.INVALID_IPV4_ADDRESS)
                if (prefix is not None) if is_prefix else (address != UNSPECIFIED_IPV4):
                    raise _Refused(Ipv4HomeAddressStatus.ADMINISTRATIVELY_PROHIBITED)
                if is_prefix:
                    prefix = self._grant_prefix(home_address, subscriber, option.address, length)
                    granted, length = prefix
                else:
                    granted = address = self._grant_address(home_address, subscriber, option.address)
            except _Refused as refused:
                answers.append(Ipv4AddressAcknowledgement(refused.status, option.address, 0))
            else:
                answer = Ipv4AddressAcknowledgement(Ipv4HomeAddressStatus.SUCCESS, granted, length - IPV4_BITS)
                answers.append(answer)
        return Grant(address, prefix, tuple(answers))

    def _grant_address(self, home_address: Address, subscriber: Subscriber | None, asked: Address) -> Address:
        own = None if subscriber is None else subscriber.home_address_ipv4
        if own is not None:
            if asked not in (own, UNSPECIFIED_IPV4):
                raise _Refused(Ipv4HomeAddressStatus.INCORRECT_IPV4_HOME_ADDRESS)
            return own
        assignment = self._assignments.get(home_address)
        if (
            assignment is not None
            and assignment.address is not None
            and asked in (assignment.address, UNSPECIFIED_IPV4)
        ):
            return assignment.address
        if asked != UNSPECIFIED_IPV4:
            # Had before our journal was lost, or given by another member a moment ago: its own if nobody else's.
            start, size = block_of(asked)
            if not self._is_free(self.addresses, start, size):
                raise _Refused(Ipv4HomeAddressStatus.INCORRECT_IPV4_HOME_ADDRESS)
            self.learn(home_address, asked, None)
            return asked
        given = self._take(self.addresses, 1)
        if given is None:
            raise _Refused(Ipv4HomeAddressStatus.DYNAMIC_IPV4_HOME_ADDRESS_ASSIGNMENT_NOT_AVAILABLE)
        address = given.to_bytes(16)
        self.learn(home_address, address, None)
        return address

    def _grant_prefix(
        self, home_address: Address, subscriber: Subscriber | None, asked: Address, length: int
    ) -> Prefix:
        """``length`` is what is asked for, or what belongs to the address that is named."""
        own = () if subscriber is None else subscriber.mobile_prefixes_ipv4
        assignment = self._assignments.get(home_address)
        given = None if assignment is None else assignment.mobile_prefix
        if asked != UNSPECIFIED_IPV4:
            named = network(asked, length), length
            if named in own or named == given:
                return named
            start, size = block_of(*named)
            if length < MOBILE_PREFIX_LENGTH_MIN or not self._is_free(self.prefixes, start, size):
                raise _Refused(Ipv4HomeAddressStatus.PREFIX_ALLOCATION_UNAUTHORIZED)
            self.learn(home_address, None, named)
            return named
        if own:
            return next((prefix for prefix in own if prefix[1] == length), own[0])
        if given is not None:
            return given
        if not self._settings.mobile_prefix_pool_ipv4:
            raise _Refused(Ipv4HomeAddressStatus.PREFIX_ALLOCATION_UNAUTHORIZED)
        size = 1 << (_SINGLE - max(length, MOBILE_PREFIX_LENGTH_MIN))
        start_given = self._take(self.prefixes, size)
        if start_given is None:
            raise _Refused(Ipv4HomeAddressStatus.DYNAMIC_IPV4_HOME_ADDRESS_ASSIGNMENT_NOT_AVAILABLE)
        prefix = prefix_of(start_given, size)
        self.learn(home_address, None, prefix)
        return prefix

    def _is_free(self, pool: Ipv4Pool, start: int, size: int) -> bool:
        return pool.covers(start, size) and not pool.overlapping(start, size) and not self._is_somebodys(start, size)

    def _is_somebodys(self, start: int, size: int) -> bool:
        return size == 1 and self._subscribers.by_home_address_ipv4(start.to_bytes(16)) is not None

    def _take(self, pool: Ipv4Pool, size: int) -> int | None:
        """Where a block begins that is ours to give: one that nobody has, else that of who needs it the least."""
        while (start := pool.free(size)) is not None and self._is_somebodys(start, size):
            pool.give(start, size, _NOBODY)
        return pool.longest_unbound(size) if start is None else start

    # --- what becomes of assignments ---

    def learn(self, home_address: Address, address: Address | None, prefix: Prefix | None) -> None:
        """This is the mobile node's now, whoever had it before; what is from no pool of ours is not ours to remember.
        What it had else it gives back."""
        assignment = self._assignments.get(home_address) or Assignment()
        before = assignment.address, assignment.mobile_prefix
        if address is not None and address != assignment.address and _may_give(self.addresses, address):
            self._move(self.addresses, assignment.address, address, home_address)
            assignment.address = address
        if prefix is not None and prefix != assignment.mobile_prefix and _may_give(self.prefixes, prefix):
            self._move(self.prefixes, assignment.mobile_prefix, prefix, home_address)
            assignment.mobile_prefix = prefix
        if before != (assignment.address, assignment.mobile_prefix):
            self._assignments[home_address] = assignment
            self._write(home_address, assignment)

    def learn_what_is_free(
        self, home_address: Address, address: Address | None, prefix: Prefix | None, now: Now
    ) -> None:
        """The same of a binding that is over: it takes nothing away from anybody, and its addresses are in no use."""
        before = self._assignments.get(home_address)
        if address is not None and (before is not None and before.address is not None):
            address = None
        if prefix is not None and (before is not None and before.mobile_prefix is not None):
            prefix = None
        self.learn(
            home_address,
            address if address is not None and self._is_free(self.addresses, *block_of(address)) else None,
            prefix if prefix is not None and self._is_free(self.prefixes, *block_of(*prefix)) else None,
        )
        self.in_use(home_address, None, None, now)

    def in_use(self, home_address: Address, address: Address | None, prefix: Prefix | None, now: Now) -> None:
        """This much of what was assigned is in the mobile node's binding from now on, the rest in none."""
        assignment = self._assignments.get(home_address)
        if assignment is None:
            return
        news = False
        if assignment.address is not None:
            news = _note(self.addresses, assignment.address, assignment.address == address)
        if assignment.mobile_prefix is not None:
            news |= _note(self.prefixes, assignment.mobile_prefix, assignment.mobile_prefix == prefix)
        if news:
            assignment.unbound_at = now.wall
            self._write(home_address, assignment)

    def _move(self, pool: Ipv4Pool, former: Prefix | Address | None, block: Prefix | Address, owner: Address) -> None:
        """A block gets another owner, who had ``former``; whoever had any of it has it no more."""
        start, size = _block(block)
        if former is not None:
            pool.take_back(_block(former)[0])
        for found in pool.overlapping(start, size):
            self._lose(pool, pool.owner(found))
            pool.take_back(found)
        pool.give(start, size, owner)

    def _lose(self, pool: Ipv4Pool, home_address: Address) -> None:
        assignment = self._assignments[home_address]
        if pool is self.addresses:
            assignment.address = None
        else:
            assignment.mobile_prefix = None
        if assignment.address is None and assignment.mobile_prefix is None:
            del self._assignments[home_address]
            self._keep(_KEY + home_address, None)
        else:
            self._write(home_address, assignment)

    # --- the journal ---

    def _write(self, home_address: Address, assignment: Assignment) -> None:
        prefix, length = assignment.mobile_prefix or (UNSPECIFIED_IPV4, 0)
        address = assignment.address or UNSPECIFIED_IPV4
        record = _RECORD.pack(_FORMAT, address[12:], prefix[12:], length and length - IPV4_BITS, assignment.unbound_at)
        self._keep(_KEY + home_address, record)

    def restore(self, key: bytes, record: bytes) -> None:
        """Take up a record of the journal; what is from no pool any more is forgotten. Raises ValueError with a
        sentence for one that can't be understood."""
        home_address = key[len(_KEY) :]
        if len(home_address) != 16 or len(record) != _RECORD.size or record[0] != _FORMAT:
            raise ValueError(f"format {record[0] if record else None}, {len(record)} bytes")
        _, address, prefix, length, unbound_at = _RECORD.unpack(record)
        if length > 32 or not isfinite(unbound_at):
            raise ValueError(f"prefix length {length}, unbound since {unbound_at}")
        self.learn(
            home_address,
            V4_MAPPED + address if any(address) else None,
            (V4_MAPPED + prefix, length + IPV4_BITS) if length else None,
        )
        if home_address in self._assignments:
            self._assignments[home_address].unbound_at = unbound_at
        else:
            self._keep(key, None)

    def restored(self) -> None:
        """All records are there; who is bound says so afterwards (``in_use``)."""
        for assignment in sorted(self._assignments.values(), key=lambda one: one.unbound_at):
            if assignment.address is not None:
                _note(self.addresses, assignment.address, False)
            if assignment.mobile_prefix is not None:
                _note(self.prefixes, assignment.mobile_prefix, False)


def _block(block: Prefix | Address) -> tuple[int, int]:
    return block_of(*block) if isinstance(block, tuple) else block_of(block)


def _may_give(pool: Ipv4Pool, block: Prefix | Address) -> bool:
    """Whether a block is of this pool, and nothing in it is reserved."""
    start, size = _block(block)
    return pool.covers(start, size) and all(pool.owner(found) for found in pool.overlapping(start, size))


def _note(pool: Ipv4Pool, block: Prefix | Address, is_bound: bool) -> bool:
    """Whether it was bound until now and is no more."""
    start, _ = _block(block)
    if is_bound:
        pool.unbound.pop(start, None)
    elif start not in pool.unbound and pool.is_ours(start):
        pool.unbound[start] = None
        return True
    return False
