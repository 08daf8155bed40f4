"""Authentication of binding updates and acknowledgements by a shared key, with timestamps against replay (RFC 4285).

Both ends use this module: :func:`sign` on what is sent, :func:`is_authentic` on what comes in, and for the timestamps
the home agent's :func:`is_fresh` and :func:`corrected_timestamp`, the mobile node's :class:`TimestampClock`.

The care-of address that goes into the computation is the one that the binding update asks for: its alternate care-of
address, else the source it was sent from (the home address when it is sent from home). The acknowledgement is computed
over the same two addresses as the update that it answers.
"""

import hmac
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from unwired.core.settings import Algorithm, SecurityAssociation
from unwired.wire.address import Address
from unwired.wire.mobility import MobilityMessage, encode_mobility
from unwired.wire.rfc4285 import (
    MobilityMessageAuthentication,
    authenticator_offset,
    mobility_data,
    ntp_timestamp,
)

SPI_MIN = 256
"""0 to 255 are reserved (RFC 4285 section 5.1)."""

_DIGESTS: dict[Algorithm, tuple[str, int]] = {Algorithm.HMAC_SHA1: ("sha1", 12), Algorithm.HMAC_SHA256: ("sha256", 16)}
"""Name of the hash and how many leading bytes of its HMAC are sent."""

_ERA = 1 << 64
_SECONDS = 0xFFFF_FFFF_0000_0000
_FRACTION = 0xFFFF_FFFF

Message = TypeVar("Message", bound=MobilityMessage)


def authenticator_length(association: SecurityAssociation) -> int:
    """Bytes of authentication data under this association."""
    return _DIGESTS[association.algorithm][1]


def compute_authenticator(
    association: SecurityAssociation, care_of_address: Address, home_address: Address, header: bytes
) -> bytes:
    """The authentication data for an encoded mobility header that has the MN-HA option, whatever stands in its place.

    Raises DecodeError when there is no such option.
    """
    digest, length = _DIGESTS[association.algorithm]
    return hmac.digest(association.key, mobility_data(care_of_address, home_address, header), digest)[:length]


def placeholder(association: SecurityAssociation) -> MobilityMessageAuthentication:
    """The MN-HA option for a message that is still to be sealed."""
    return MobilityMessageAuthentication(association.spi, bytes(authenticator_length(association)))


def seal(
    message: MobilityMessage, association: SecurityAssociation, care_of_address: Address, home_address: Address
) -> bytes:
    """Fill in the authenticator of a message that was just made, its last option a fresh ``placeholder``; the bytes to
    send. Raises DecodeError when the option is not there."""
    digest, length = _DIGESTS[association.algorithm]
    header = encode_mobility(message)
    at = authenticator_offset(header)
    # The checksum in what was just encoded is zero, as the computation wants it.
    covered = b"".join((care_of_address, home_address, header[:at]))
    authenticator = hmac.digest(association.key, covered, digest)[:length]
    # Frozen, but nobody else has seen the option yet; making all anew costs as much as the hash, for each message.
    object.__setattr__(message.options[-1], "authenticator", authenticator)
    return b"".join((header[:at], authenticator, header[at + length :]))


def sign(
    message: Message, association: SecurityAssociation, care_of_address: Address, home_address: Address
) -> tuple[Message, bytes]:
    """The message with the MN-HA option as its last (RFC 4285 section 5.1), and its bytes to send."""
    signed = replace(message, options=(*message.options, placeholder(association)))
    return signed, seal(signed, association, care_of_address, home_address)


def is_authentic(
    option: MobilityMessageAuthentication,
    header: bytes,
    association: SecurityAssociation,
    care_of_address: Address,
    home_address: Address,
) -> bool:
    """Whether the authenticator in this received MN-HA option is right for the bytes it came in (``Packet.data``).

    The caller has looked up the association by the option's SPI.
    """
    expected = compute_authenticator(association, care_of_address, home_address, header)
    return hmac.compare_digest(option.authenticator, expected)


def is_later(timestamp: int, than: int) -> bool:
    """Whether one NTP timestamp is greater than another; the 64 bits wrap in 2036."""
    return 0 < (timestamp - than) % _ERA < _ERA >> 1


def is_fresh(timestamp: int, last: int | None, wall: float, window_s: float) -> bool:
    """The home agent's replay check (RFC 4285 section 6): within ``window_s`` of our clock and greater than the last
    one accepted from this mobile node, None when there is none or it is too old to matter."""
    ahead = (timestamp - ntp_timestamp(wall) + (_ERA >> 1)) % _ERA - (_ERA >> 1)
    return abs(ahead) <= window_s * 4_294_967_296.0 and (last is None or is_later(timestamp, last))


def corrected_timestamp(received: int, wall: float) -> int:
    """What a home agent answers to a timestamp that is not valid: its own seconds, the sender's fraction."""
    return ntp_timestamp(wall) & _SECONDS | received & _FRACTION


class TimestampClock:
    """The mobile node's timestamps: always greater than any that was accepted, set right by the home agent's answer."""

    __slots__ = ("_accepted", "_last", "_offset_s")

    def __init__(self) -> None:
        self._last: int | None = None
        self._accepted: int | None = None
        self._offset_s = 0

    @property
    def offset_s(self) -> int:
        """How many seconds the home agent's clock is ahead of ours, as far as it told us."""
        return self._offset_s

    def next(self, wall: float, entropy: Callable[[int], bytes]) -> int:
        """The timestamp for a new binding update."""
        timestamp = (ntp_timestamp(wall) + (self._offset_s << 32)) % _ERA
        # The clock reading is a float: its lowest bits are not time, and the RFC wants those random.
        timestamp = timestamp & ~0xFF | entropy(1)[0]
        if self._last is not None and not is_later(timestamp, self._last):
            timestamp = (self._last + 1) % _ERA
        self._last = timestamp
        return timestamp

    def accepted(self, timestamp: int) -> None:
        """The home agent accepted the binding update that carried it."""
        self._accepted = timestamp

    def adjust(self, answer: int, wall: float) -> None:
        """Follow the clock in an authenticated acknowledgement with status 144 (identification mismatch)."""
        ahead = (answer >> 32) - (ntp_timestamp(wall) >> 32)
        self._offset_s = (ahead + (1 << 31)) % (1 << 32) - (1 << 31)
        # Refused timestamps bind nobody; without this a clock that ran ahead could never be set back.
        self._last = self._accepted


def timestamp_answers(answer: int, sent: int, mismatch: bool) -> bool:
    """Whether an acknowledgement's timestamp belongs to the update that carried ``sent`` (RFC 4285 section 6);
    ``mismatch``: its status is 144, which leaves only the fraction as it was."""
    return answer & _FRACTION == sent & _FRACTION if mismatch else answer == sent
