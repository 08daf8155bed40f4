"""The home agent's binding cache (RFC 6275 section 9.1): the entries, their journal records and their timers.

Own and global bindings are entries alike: what differs is who their primary home agent is.
"""

import struct
from collections import Counter
from collections.abc import Iterator
from math import isfinite

from unwired.core.binding_states import State
from unwired.core.door import Now
from unwired.core.forwarding import Encapsulation
from unwired.core.global_binding import GlobalBinding, Order
from unwired.core.settings import Prefix
from unwired.core.timers import Bucket, Wheel
from unwired.wire.address import UNSPECIFIED, UNSPECIFIED_IPV4, Address, is_ipv4, network
from unwired.wire.rfc4285 import ntp_timestamp
from unwired.wire.rfc6275 import LIFETIME_UNIT_S
from unwired.wire.state_synchronization import DUAL_STACK_SIZE, DualStack

SEQUENCE_NUMBERS = 1 << 16
_KEY = b"home_agent:"
_FORMAT = 2
_FORMAT_DUAL_STACK = 3
#     format  state  flags  sequence  lifetime_units  timestamp  ends_at (seconds since 1970)  tunnel  care_of_address
_BEFORE_SETS = struct.Struct("!BBBHHQdI16s")
#     the same, then  version  primary's locator
_RECORD = struct.Struct("!BBBHHQdI16sQ16s")
#     the same, then  DualStack.pack(), where there is anything of IPv4
_DUAL_STACK = struct.Struct(f"!BBBHHQdI16sQ16s{DUAL_STACK_SIZE}s")
_LINK_LOCAL = 1
_SWITCHED = 2
_ALONE = (UNSPECIFIED,)
_LAYOUTS = {1: _BEFORE_SETS, _FORMAT: _RECORD, _FORMAT_DUAL_STACK: _DUAL_STACK}
_KEPT_STATES = {int(state): state for state in (State.BOUND, State.DELETED, State.REMEMBERED)}


class Binding:
    """What is known of one home address; slots and shared objects, because there are very many.

    ``ends_at`` is monotonic: the end of the lifetime when bound, else when to forget. ``timestamp`` is the last one
    accepted (RFC 4285 section 6), 0 without. ``previous`` are care-of addresses still accepted from, each with its UDP
    port and the monotonic time until when. ``requests`` counts binding refresh requests since the last update.

    ``primary`` is the number of the member that is the primary home agent (``Roster``); ``version`` and ``switched``
    are those of ``GlobalBinding``. ``dual_stack`` is None when there is nothing of IPv4: most bindings should pay for
    none of it.
    """

    __slots__ = (
        "bucket",
        "care_of_address",
        "dual_stack",
        "ends_at",
        "home_address",
        "lifetime_units",
        "link_local",
        "previous",
        "primary",
        "requests",
        "sequence",
        "state",
        "switched",
        "timestamp",
        "tunnel",
        "version",
    )

    def __init__(self, home_address: Address) -> None:
        self.home_address = home_address
        self.care_of_address = home_address
        self.state = State.ABSENT
        self.sequence = 0
        self.lifetime_units = 0
        self.ends_at = 0.0
        self.timestamp = 0
        self.tunnel = 0
        self.link_local = False
        self.requests = 0
        self.previous: tuple[tuple[Address, int, float], ...] = ()
        self.primary = 0
        self.version = 0
        self.switched = False
        self.dual_stack: DualStack | None = None
        self.bucket: Bucket[Binding] | None = None

    @property
    def care_of_port(self) -> int:
        """The UDP port that the mobile node is tunnelled to; 0: not in UDP."""
        return 0 if self.dual_stack is None else self.dual_stack.care_of_port

    @property
    def own_care_of_address(self) -> Address:
        """The care-of address as the mobile node knows it: behind a NAT it is another one."""
        if self.dual_stack is None or self.dual_stack.private_care_of_address == UNSPECIFIED_IPV4:
            return self.care_of_address
        return self.dual_stack.private_care_of_address

    @property
    def is_behind_nat(self) -> bool:
        return self.dual_stack is not None and self.dual_stack.private_care_of_address != UNSPECIFIED_IPV4

    @property
    def encapsulation(self) -> Encapsulation:
        """What is put around packets to the mobile node."""
        if not is_ipv4(self.care_of_address):
            return Encapsulation.IPV6
        return Encapsulation.UDP if self.care_of_port else Encapsulation.IPV4

    @property
    def home_address_ipv4(self) -> Address | None:
        """The IPv4 home address that is bound besides the IPv6 one."""
        if self.dual_stack is None or self.dual_stack.home_address == UNSPECIFIED_IPV4:
            return None
        return self.dual_stack.home_address

    @property
    def mobile_prefix(self) -> Prefix | None:
        """The IPv4 prefix that moves with the mobile node."""
        if self.dual_stack is None or not self.dual_stack.mobile_prefix_length:
            return None
        return self.dual_stack.mobile_prefix, self.dual_stack.mobile_prefix_length


class UnreadableRecord(ValueError):
    """A journal record that this version does not understand; the text says why."""


def record_key(home_address: Address) -> bytes:
    """Under which key the journal keeps a binding."""
    return _KEY + home_address


def home_address_of(key: bytes) -> Address:
    """The other way round."""
    return key[len(_KEY) :]


def is_binding_key(key: bytes) -> bool:
    """Whether a journal key is one of this role's."""
    return key.startswith(_KEY)


def encode_record(binding: Binding, now: Now, locators: tuple[Address, ...] = _ALONE) -> bytes:
    """What the journal keeps of a binding; times by the wall clock, because the other does not survive a reboot, and
    the primary by its locator (``Roster.locators``), because numbers change with the configuration."""
    fields = (
        binding.state,
        (_LINK_LOCAL if binding.link_local else 0) | (_SWITCHED if binding.switched else 0),
        binding.sequence,
        binding.lifetime_units,
        binding.timestamp,
        binding.ends_at - now.monotonic + now.wall,
        binding.tunnel,
        binding.care_of_address,
        binding.version,
        locators[binding.primary],
    )
    if binding.dual_stack is None:
        return _RECORD.pack(_FORMAT, *fields)
    return _DUAL_STACK.pack(_FORMAT_DUAL_STACK, *fields, binding.dual_stack.pack())


def decode_record(key: bytes, record: bytes, now: Now) -> tuple[Binding, Address]:
    """The binding of a journal record, and its primary's locator: UNSPECIFIED when it was made without a set.
    Raises UnreadableRecord."""
    home_address = home_address_of(key)
    layout = _LAYOUTS.get(record[0]) if record else None
    if len(home_address) != 16 or layout is None or len(record) != layout.size:
        raise UnreadableRecord(f"format {record[0] if record else None}, {len(record)} bytes")
    _, number, flags, sequence, lifetime_units, timestamp, ends_at, tunnel, care_of_address, *more = layout.unpack(
        record
    )
    state = _KEPT_STATES.get(number)
    if state is None or not isfinite(ends_at):
        raise UnreadableRecord(f"state {number}, end {ends_at}")
    binding = Binding(home_address)
    binding.state = state
    binding.link_local = flags & _LINK_LOCAL != 0
    binding.switched = flags & _SWITCHED != 0
    binding.sequence = sequence
    binding.lifetime_units = lifetime_units
    binding.timestamp = timestamp
    binding.tunnel = tunnel
    binding.care_of_address = care_of_address
    binding.ends_at = ends_at - now.wall + now.monotonic
    if more:
        binding.version, primary, *dual_stack = more
        if dual_stack:
            binding.dual_stack = DualStack.unpack(dual_stack[0])
            if binding.dual_stack.mobile_prefix_length > 128:
                raise UnreadableRecord(f"mobile prefix length {binding.dual_stack.mobile_prefix_length}")
    else:
        binding.version = timestamp or ntp_timestamp(ends_at - lifetime_units * LIFETIME_UNIT_S)
        primary = UNSPECIFIED
    return binding, primary


def order_of(binding: Binding, locators: tuple[Address, ...]) -> Order:
    """``GlobalBinding.order`` of an entry."""
    return (
        binding.version,
        locators[binding.primary],
        binding.state == State.DELETED,
        binding.care_of_address,
        binding.sequence,
        binding.lifetime_units,
        b"" if binding.dual_stack is None else binding.dual_stack.pack(),
    )


def to_global(binding: Binding, locators: tuple[Address, ...], now: Now) -> GlobalBinding:
    """What the other members are told of an entry that is bound or deleted."""
    return GlobalBinding(
        binding.home_address,
        binding.care_of_address,
        locators[binding.primary],
        binding.version,
        binding.timestamp,
        binding.ends_at - now.monotonic + now.wall,
        binding.sequence,
        binding.lifetime_units,
        binding.state == State.DELETED,
        binding.link_local,
        binding.switched,
        binding.dual_stack,
    )


def is_newer(sequence: int, last: int) -> bool:
    """Whether a sequence number is greater than the last one: modulo 2**16, the last and the 32768 values before it
    are not (RFC 6275 section 9.5.1)."""
    return 0 < (sequence - last) % SEQUENCE_NUMBERS < SEQUENCE_NUMBERS >> 1


class BindingCache:
    """All entries by home address, with their timers and tunnel numbers."""

    def __init__(self) -> None:
        self._bindings: dict[Address, Binding] = {}
        self._next_tunnel = 1
        self.wheel: Wheel[Binding] = Wheel()
        self.in_use = 0
        """Entries that are bound or being tested: what the limit counts."""
        self.primaries: Counter[int] = Counter()
        """How many are bound, by the number of their primary home agent."""
        self.get = self._bindings.get
        self._by_ipv4: dict[Address, Binding] = {}
        self._by_mobile_prefix: dict[Prefix, Binding] = {}

    def __len__(self) -> int:
        return len(self._bindings)

    def __iter__(self) -> Iterator[Binding]:
        return iter(self._bindings.values())

    def add(self, binding: Binding) -> None:
        self._bindings[binding.home_address] = binding
        if binding.tunnel >= self._next_tunnel:
            self._next_tunnel = binding.tunnel + 1

    def remove(self, binding: Binding) -> None:
        self._bindings.pop(binding.home_address, None)

    def move(self, binding: Binding, state: State) -> None:
        """Put an entry into its next state."""
        if state is binding.state:
            return
        self.in_use += (state in (State.DETECTING, State.BOUND)) - (binding.state in (State.DETECTING, State.BOUND))
        self.primaries[binding.primary] += (state == State.BOUND) - (binding.state == State.BOUND)
        binding.state = state

    def set_primary(self, binding: Binding, primary: int) -> None:
        """Give an entry its primary home agent."""
        if binding.state == State.BOUND:
            self.primaries[binding.primary] -= 1
            self.primaries[primary] += 1
        binding.primary = primary

    def number_tunnel(self, binding: Binding) -> None:
        """Give a binding its tunnel, which it keeps for as long as the entry is there."""
        if not binding.tunnel:
            binding.tunnel = self._next_tunnel
            self._next_tunnel += 1

    def holder(self, block: Address | Prefix) -> Binding | None:
        """The binding that an IPv4 home address or a mobile prefix is in."""
        return self._by_mobile_prefix.get(block) if isinstance(block, tuple) else self._by_ipv4.get(block)

    def hold(self, block: Address | Prefix, binding: Binding) -> None:
        """It is in this binding from now on."""
        if isinstance(block, tuple):
            self._by_mobile_prefix[block] = binding
        else:
            self._by_ipv4[block] = binding

    def let_go(self, block: Address | Prefix) -> None:
        if isinstance(block, tuple):
            del self._by_mobile_prefix[block]
        else:
            del self._by_ipv4[block]

    def of(self, address: Address) -> Binding | None:
        """The entry that a packet to or from this address is of: of a home address of either family, or of the mobile
        prefix around it."""
        if not is_ipv4(address):
            return self._bindings.get(address)
        binding = self._by_ipv4.get(address)
        if binding is None:
            for length in sorted({length for _, length in self._by_mobile_prefix}, reverse=True):
                binding = self._by_mobile_prefix.get((network(address, length), length))
                if binding is not None:
                    break
        return binding

    def at_care_of_address(self, home_address: Address, care_of_address: Address) -> Binding | None:
        """The binding of a home address if it is bound to this care-of address (RFC 6275 section 9.3.1)."""
        binding = self._bindings.get(home_address)
        if binding is None or binding.state != State.BOUND or binding.care_of_address != care_of_address:
            return None
        return binding
