"""A mobile node's IPv4 home address and the IPv4 prefix that moves with it (RFC 5555 sections 3.1.1, 3.2.1 and 4.4.2).

They live as long as the binding of the IPv6 home address and go through its tunnel: every binding update asks for them,
and what its acknowledgement says of them holds. What was granted is named from then on, also after a restart, so that
it stays the same.
"""

from collections.abc import Sequence

from unwired.core.binding_update_list import SavedEntry
from unwired.core.door import DropHomeAddress, DropMobilePrefix, HoldHomeAddress, HoldMobilePrefix
from unwired.core.notices import Level
from unwired.core.outbox import Outbox
from unwired.core.settings import MobileNodeSettings, Prefix
from unwired.core.tunnel_rows import TunnelRows
from unwired.wire.address import IPV4_BITS, UNSPECIFIED_IPV4, Address, format_address, is_unicast_routable, network
from unwired.wire.mobility import MobilityOption
from unwired.wire.rfc5555 import Ipv4AddressAcknowledgement, Ipv4HomeAddress, Ipv4HomeAddressStatus

_HOST = 32
_FAILURE = 128


class Ipv4HomeAddresses:
    """``address`` and ``prefix`` are what we have, whether they are bound at the moment or not; None: none."""

    def __init__(self, settings: MobileNodeSettings, rows: TunnelRows, outbox: Outbox) -> None:
        self._settings = settings
        self._rows = rows
        self._outbox = outbox
        self.address: Address | None = None
        self.prefix: Prefix | None = None
        self.bound = False
        """The home agent serves the address."""
        self._refused: dict[str, int] = {}
        """What a person was told last of a refusal: its status by the notice's name."""

    @property
    def dynamic(self) -> bool:
        return self._settings.home_address_ipv4 == UNSPECIFIED_IPV4

    def start(self, saved: SavedEntry | None, bound: bool) -> None:
        """Take up what the configuration says, or what an earlier run was granted; ``bound``: its binding lives on."""
        address = self._settings.home_address_ipv4
        if address == UNSPECIFIED_IPV4:
            address = None if saved is None else saved.home_address_ipv4
        if address is not None:
            self._hold(address)
        length = self._settings.mobile_prefix_length_ipv4
        if length and saved is not None and saved.mobile_prefix_ipv4 is not None:
            self._hold_prefix(saved.mobile_prefix_ipv4)
        if bound and saved is not None:
            if saved.home_address_ipv4 is not None and saved.home_address_ipv4 == self.address:
                self._rows.add(self.address)
            self._rows.set_prefix(self.prefix)

    def options(self) -> Sequence[MobilityOption]:
        """What a binding update asks for."""
        options = []
        if self._settings.home_address_ipv4 is not None:
            options.append(Ipv4HomeAddress(self.address or UNSPECIFIED_IPV4))
        length = self._settings.mobile_prefix_length_ipv4
        if length:
            prefix, length = self.prefix or (UNSPECIFIED_IPV4, length)
            options.append(Ipv4HomeAddress(prefix, length - IPV4_BITS, request_prefix=True))
        return options

    def acknowledged(self, answers: Sequence[Ipv4AddressAcknowledgement]) -> bool:
        """What an accepted binding update brought. Whether it is worth asking again at once: what we named is not ours
        any more, and something else may be."""
        asked_address = self._settings.home_address_ipv4 is not None
        asked_prefix = bool(self._settings.mobile_prefix_length_ipv4)
        address, prefix = self._sort(answers, asked_address, asked_prefix)
        again = False
        if asked_address:
            again |= self._address_acknowledged(address)
        if asked_prefix:
            again |= self._prefix_acknowledged(prefix)
        return again

    def say_again(self) -> None:
        """Ask the host once more for what it should have."""
        if self.address is not None:
            self._outbox.emit(HoldHomeAddress(self.address))
        if self.prefix is not None:
            self._outbox.emit(HoldMobilePrefix(*self.prefix))

    def unbind(self) -> None:
        """There is no binding any more: nothing of ours goes into the tunnel. The host keeps what it has."""
        self.bound = False
        if self.address is not None:
            self._rows.remove(self.address)
        self._rows.set_prefix(None)

    def close(self) -> None:
        """Take everything down; what was granted is still named when we start again."""
        self.unbind()
        if self.address is not None:
            self._outbox.emit(DropHomeAddress(self.address))
        if self.prefix is not None:
            self._outbox.emit(DropMobilePrefix(*self.prefix))

    # --- the address -----------------------------------------------------------------------------------------------

    def _address_acknowledged(self, answer: Ipv4AddressAcknowledgement | None) -> bool:
        if answer is not None and answer.status < _FAILURE and self._may_be_ours(answer.address):
            if answer.address != self.address:
                self._release()
                self._hold(answer.address)
            if not self.bound:
                self._outbox.notify(
                    "ipv4_home_address_bound",
                    Level.INFO,
                    self._settings.home_address,
                    home_address_ipv4=format_address(answer.address),
                )
            self.bound = True
            self._refused.pop("ipv4_home_address_refused", None)
            self._rows.add(answer.address)
            return False
        self.bound = False
        named = self.address
        if named is not None:
            self._rows.remove(named)
        self._tell("ipv4_home_address_refused", answer)
        if not self.dynamic or named is None or answer is None:
            return False
        self._release()
        return True

    def _may_be_ours(self, address: Address) -> bool:
        return is_unicast_routable(address) and (self.dynamic or address == self._settings.home_address_ipv4)

    def _hold(self, address: Address) -> None:
        self.address = address
        self._outbox.emit(HoldHomeAddress(address))

    def _release(self) -> None:
        if self.address is not None:
            self._rows.remove(self.address)
            self._outbox.emit(DropHomeAddress(self.address))
            self.address = None

    # --- the prefix ------------------------------------------------------------------------------------------------

    def _prefix_acknowledged(self, answer: Ipv4AddressAcknowledgement | None) -> bool:
        if answer is not None and answer.status < _FAILURE and _is_prefix(answer):
            granted = (answer.address, answer.prefix_length + IPV4_BITS)
            if granted != self.prefix:
                self._release_prefix()
                self._hold_prefix(granted)
                self._outbox.notify(
                    "ipv4_mobile_prefix_bound",
                    Level.INFO,
                    self._settings.home_address,
                    prefix=f"{format_address(answer.address)}/{answer.prefix_length}",
                )
            self._rows.set_prefix(granted)
            self._refused.pop("ipv4_mobile_prefix_refused", None)
            return False
        named = self.prefix
        self._tell("ipv4_mobile_prefix_refused", answer)
        self._release_prefix()
        return named is not None and answer is not None

    def _hold_prefix(self, prefix: Prefix) -> None:
        self.prefix = prefix
        self._outbox.emit(HoldMobilePrefix(*prefix))

    def _release_prefix(self) -> None:
        self._rows.set_prefix(None)
        if self.prefix is not None:
            self._outbox.emit(DropMobilePrefix(*self.prefix))
            self.prefix = None

    # --- answers ---------------------------------------------------------------------------------------------------

    def _sort(
        self, answers: Sequence[Ipv4AddressAcknowledgement], asked_address: bool, asked_prefix: bool
    ) -> tuple[Ipv4AddressAcknowledgement | None, Ipv4AddressAcknowledgement | None]:
        """The answer about the address and that about the prefix. Of a success the prefix length tells; a failure has
        none, and is about what its status or else the order says."""
        address: Ipv4AddressAcknowledgement | None = None
        prefix: Ipv4AddressAcknowledgement | None = None
        for answer in answers:
            if answer.status < _FAILURE:
                about_prefix = asked_prefix and (not asked_address or answer.prefix_length != _HOST)
            elif answer.status == Ipv4HomeAddressStatus.PREFIX_ALLOCATION_UNAUTHORIZED:
                about_prefix = True
            else:
                about_prefix = not asked_address or (asked_prefix and address is not None)
            if about_prefix:
                prefix = prefix or answer
            else:
                address = address or answer
        return address, prefix

    def _tell(self, name: str, answer: Ipv4AddressAcknowledgement | None) -> None:
        """A refusal, once. Without an answer the home agent knows no IPv4 home addresses."""
        status = -1 if answer is None else answer.status
        if status == self._refused.get(name):
            return
        self._refused[name] = status
        try:
            reason = "not_answered" if answer is None else Ipv4HomeAddressStatus(status).name.lower()
        except ValueError:
            reason = "unknown"
        fields = {"status": None if answer is None else status, "reason": reason}
        self._outbox.notify(name, Level.WARNING, self._settings.home_address, **fields)


def _is_prefix(answer: Ipv4AddressAcknowledgement) -> bool:
    length = answer.prefix_length + IPV4_BITS
    return (
        0 < answer.prefix_length <= _HOST
        and is_unicast_routable(answer.address)
        and network(answer.address, length) == answer.address
    )
