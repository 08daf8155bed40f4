"""What the members of a home agent set tell each other about one home address, and which of two such records is newer.

The rule (docs/ha-ha.md): the record with the greater ``order`` wins, whoever it comes from and whenever. The order is
total and the same at every member, so that any exchange that delivers every record to everyone, in any order and any
number of times, leaves all with the same binding. What guards against replay travels in every record and never goes
back, whichever record wins.
"""

from dataclasses import dataclass
from typing import Protocol

from unwired.wire.address import Address
from unwired.wire.state_synchronization import DualStack

Order = tuple[int, Address, bool, Address, int, int, bytes]


@dataclass(frozen=True, slots=True)
class GlobalBinding:
    """A binding, or the tombstone of one, as its primary home agent registered it.

    ``version`` is the time of the registration as a 64-bit NTP timestamp: the mobile node's authenticated one (RFC 4285
    section 6) where there is one, else the member's hybrid logical clock; always greater than the version before it.
    Never the 16-bit sequence number: a mobile node numbers per destination. ``primary`` is the primary home agent's
    locator. A tombstone (``deleted``) has the version and the primary of the binding that it ends, so that it ends
    nothing that was registered later or elsewhere. ``timestamp`` is the last one accepted from the mobile node, 0
    without. ``ends_at``, in seconds since 1970, is the end of the lifetime, or when the tombstone is forgotten; a
    binding whose lifetime is over still beats an older one that is not.
    ``switched``: the mobile node has changed its home agent at this care-of address, other than by the death of one.
    """

    home_address: Address
    care_of_address: Address
    primary: Address
    version: int
    timestamp: int
    ends_at: float
    sequence: int
    lifetime_units: int
    deleted: bool = False
    link_local: bool = False
    switched: bool = False
    dual_stack: DualStack | None = None

    @property
    def order(self) -> Order:
        """Greater is newer. After version, primary and tombstone comes the rest of what was registered: two members
        that answer for the same primary, because they can't reach it or each other, may give the same version."""
        return (
            self.version,
            self.primary,
            self.deleted,
            self.care_of_address,
            self.sequence,
            self.lifetime_units,
            b"" if self.dual_stack is None else self.dual_stack.pack(),
        )


class BindingStore(Protocol):
    """The binding cache as a carrier may look at it, to find out what another member lacks."""

    def digests(self) -> list[int]:
        """For each of ``replica.BUCKETS`` buckets of home addresses, what sums up its records (64 bits)."""

    def in_buckets(self, buckets: frozenset[int]) -> list[Address]:
        """The home addresses of the records in these buckets."""

    def record(self, home_address: Address) -> GlobalBinding | None:
        """The newest record of a home address; None when there is none any more."""
