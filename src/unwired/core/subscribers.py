"""Who a home agent serves: the lookup it needs, and the plain one in memory."""

from collections.abc import Iterable
from typing import Protocol

from unwired.core.settings import Subscriber
from unwired.wire.address import Address


class SubscriberLookup(Protocol):
    """A store of subscribers; the lookups are called for each binding update and must not wait for anything."""

    def by_identifier(self, identifier: bytes) -> Subscriber | None:
        """The subscriber with this NAI (RFC 4283), in UTF-8 bytes."""

    def by_home_address(self, home_address: Address) -> Subscriber | None:
        """The one subscriber who owns this home address."""

    def by_home_address_ipv4(self, home_address: Address) -> Subscriber | None:
        """The one subscriber whose own IPv4 home address this is."""


class Subscribers:
    """Subscribers in memory. Raises ValueError when two share an identifier or a home address."""

    def __init__(self, subscribers: Iterable[Subscriber] = ()) -> None:
        self.replace(subscribers)

    def replace(self, subscribers: Iterable[Subscriber]) -> None:
        """From now on these. The binding of one that is gone ends with its lifetime, because it is not renewed."""
        by_identifier: dict[bytes, Subscriber] = {}
        by_home_address: dict[Address, Subscriber] = {}
        by_home_address_ipv4: dict[Address, Subscriber] = {}
        for subscriber in subscribers:
            if subscriber.identifier in by_identifier or subscriber.home_address in by_home_address:
                raise ValueError(f"subscriber {subscriber.identifier!r} shares its identifier or home address")
            by_identifier[subscriber.identifier] = subscriber
            by_home_address[subscriber.home_address] = subscriber
            address = subscriber.home_address_ipv4
            if address is not None and by_home_address_ipv4.setdefault(address, subscriber) is not subscriber:
                raise ValueError(f"subscriber {subscriber.identifier!r} shares its IPv4 home address")
        self._by_identifier, self._by_home_address = by_identifier, by_home_address
        self._by_home_address_ipv4 = by_home_address_ipv4

    def __len__(self) -> int:
        return len(self._by_identifier)

    def by_identifier(self, identifier: bytes) -> Subscriber | None:
        return self._by_identifier.get(identifier)

    def by_home_address(self, home_address: Address) -> Subscriber | None:
        return self._by_home_address.get(home_address)

    def by_home_address_ipv4(self, home_address: Address) -> Subscriber | None:
        return self._by_home_address_ipv4.get(home_address)
