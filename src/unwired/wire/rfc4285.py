"""RFC 4285: authentication of binding updates and acknowledgements without IPsec."""

from enum import IntEnum
from typing import Annotated

from unwired.wire.address import Address
from unwired.wire.errors import DecodeError
from unwired.wire.mobility import MobilityOption, mobility_option, option_end, options_start

_NTP_EPOCH_S = 2_208_988_800
"""Seconds from 1900, where NTP counts from, to 1970."""


class AuthenticationSubtype(IntEnum):
    """Who shares the key with the mobile node."""

    MN_HA = 1
    """Its home agent (section 5.1)."""
    MN_AAA = 2
    """The AAA server of its home network (section 5.2)."""


class AuthenticationAlgorithm(IntEnum):
    """How the AAA server checks an authenticator, as an SPI (section 5.2)."""

    HMAC_SHA1_SPI = 3


#  0                   1                   2                   3
#  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                  |  Option Type  | Option Length |  Subtype      |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                  Mobility SPI                                 |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                  Authentication Data ....
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(
    9, "Mobility Message Authentication", "RFC 4285, 5", "subtype:8 spi:32 authenticator:rest", align=(4, 1)
)
class MobilityMessageAuthentication(MobilityOption):
    """Proof of who sent the message. ``spi`` names the key; the last option of its message (section 5.1)."""

    spi: int
    authenticator: bytes
    subtype: Annotated[int, AuthenticationSubtype] = AuthenticationSubtype.MN_HA


#  0                   1                   2                   3
#  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#                              +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                              |      Option Type  | Option Length |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                  Timestamp ...                                |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                  Timestamp                                    |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(10, "Mobility Message Replay Protection", "RFC 4285, 6", "timestamp:64", align=(8, 2))
class MessageId(MobilityOption):
    """When the message was made: ``timestamp`` in NTP's 64-bit format, see ``ntp_timestamp``."""

    timestamp: int

    @property
    def wall_time_s(self) -> float:
        """Seconds since 1970."""
        return wall_time(self.timestamp)


def ntp_timestamp(wall: float) -> int:
    """Seconds since 1970 in NTP's format: seconds since 1900 in the upper 32 bits, fractions in the lower."""
    return (int(wall * (1 << 32)) + (_NTP_EPOCH_S << 32)) & 0xFFFF_FFFF_FFFF_FFFF


def wall_time(timestamp: int) -> float:
    """Seconds since 1970 of an NTP timestamp; before 1968 means the era that starts in 2036 (RFC 5905 section 6)."""
    seconds = (timestamp >> 32) - _NTP_EPOCH_S
    if timestamp >> 63 == 0:
        seconds += 1 << 32
    return seconds + (timestamp & 0xFFFF_FFFF) / (1 << 32)


def authenticator_offset(header: bytes, subtype: int = AuthenticationSubtype.MN_HA) -> int:
    """Where in an encoded mobility header the authentication data of ``subtype`` starts, right after the SPI.

    Raises DecodeError when there is no such option.
    """
    end = len(header)
    at = options_start(header) if end >= 8 else end
    while at + 1 < end:
        number = header[at]
        if number == 0:
            at += 1
            continue
        if number == MobilityMessageAuthentication.TYPE and at + 7 <= end and header[at + 2] == subtype:
            return at + 7
        at = option_end(header, at)
    raise DecodeError("no authentication option of this subtype", 0)


def mobility_data(
    care_of_address: Address,
    home_address: Address,
    header: bytes,
    subtype: Annotated[int, AuthenticationSubtype] = AuthenticationSubtype.MN_HA,
) -> bytes:
    """What the authenticator of ``subtype`` covers (section 5.1): both addresses and the mobility header, its checksum
    as zero, up to and including the option's SPI. Raises DecodeError when there is no such option."""
    return b"".join(
        (care_of_address, home_address, header[:4], b"\0\0", header[6 : authenticator_offset(header, subtype)])
    )


def with_authenticator(header: bytes, authenticator: bytes, subtype: int = AuthenticationSubtype.MN_HA) -> bytes:
    """An encoded mobility header with the placeholder in its authentication option (of the same length) replaced."""
    at = authenticator_offset(header, subtype)
    return b"".join((header[:at], authenticator, header[at + len(authenticator) :]))
