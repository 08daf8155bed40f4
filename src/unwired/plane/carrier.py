"""What carries the state of a home agent set from member to member, whatever it is made of.

A carrier is given the set's members by number (``HomeAgentSetSettings.members``, from 1) and tells what happens as
events of the engine's door. It may deliver a record late, twice, out of order, or leave out one that a later record of
the same home address replaces; it must in the end deliver the newest of each home address to every member that can be
reached, and only then say ``BindingsHeld``. Records are merged by their own order (``core/global_binding.py``), so it
needs no order and no election.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from unwired.core.door import Event
from unwired.core.global_binding import BindingStore, GlobalBinding
from unwired.wire.address import Address

PORT = 7691
"""At their locators, unless the operator says otherwise: streams between members (TCP) and HELLO datagrams (UDP)."""
Listener = Callable[[Event], None]
"""Takes ``BindingsReceived``, ``BindingsHeld``, ``SetCurrent`` and ``KeyShared``."""


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """The link to one member. ``waiting`` records are not yet held by it, the oldest for ``lag_ms``."""

    connected: bool
    waiting: int = 0
    lag_ms: float = 0.0
    problem: str = ""


class Carrier(Protocol):
    async def start(self, listener: Listener, store: BindingStore) -> None:
        """Begin to reach the other members, and go on trying. Raises CarrierError when that can never work here."""

    async def stop(self) -> None:
        """Hand over what can be within a second, and let go."""

    def publish(self, token: int, record: GlobalBinding) -> None:
        """Give a record to every other member; tokens only grow."""

    def kept(self, member: int, position: int, refused: tuple[Address, ...] = ()) -> None:
        """What was delivered from ``member`` up to ``position`` is durable here, but for the records of the home
        addresses that were ``refused``: which may now be told to it."""

    def share_key(self, epoch: int, key: bytes) -> None:
        """Give every member our key for HELLO datagrams, now and whenever it is reached again."""

    def links(self) -> dict[int, LinkStatus]:
        """How it stands with every other member, by number."""

    def counters(self) -> dict[str, int]:
        """Bytes, messages, refusals by name; they only grow."""


class CarrierError(Exception):
    """The carrier can't work here; the text is for a person."""
