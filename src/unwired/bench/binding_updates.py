"""Binding updates of many mobile nodes, encoded and authenticated ahead of time: rows of packets of one size."""

from unwired.core.authentication import sign
from unwired.core.settings import SecurityAssociation
from unwired.wire.address import Address, parse_address
from unwired.wire.ipv6 import Packet, encode_packet
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, ntp_timestamp
from unwired.wire.rfc6275 import AlternateCareOfAddress, BindingUpdate

HOME_AGENT = "2001:db8:100::1"
HOME_PREFIX = "2001:db8:100::/64"
CARE_OF_PREFIX = "2001:db8:2::/64"
SECRET = bytes(range(16))
SPI = 256
_LIFETIME_UNITS = 105
_FIRST = 0x1_0000
"""Interface identifiers count from here, all of the same length in text."""


def identifier(number: int) -> str:
    return f"node-{number:08}@example.org"


def home_address(number: int) -> Address:
    return parse_address(HOME_PREFIX.removesuffix("/64"))[:8] + (_FIRST + number).to_bytes(8)


def care_of_address(number: int, place: int) -> Address:
    """Each of a node's places is another address."""
    return parse_address(CARE_OF_PREFIX.removesuffix("/64"))[:8] + place.to_bytes(4) + (_FIRST + number).to_bytes(4)


class Fleet:
    """``count`` mobile nodes, each of which has registered ``rounds`` times before. Each call of ``updates`` goes on
    where the last one stopped."""

    def __init__(self, count: int, rounds: int = 0) -> None:
        self._count = count
        self._position = 0
        self._round = rounds
        self._place = 0
        self._association = SecurityAssociation(SPI, SECRET)

    def updates(self, total: int, moving: bool, ahead_of: float) -> bytes:
        """``total`` binding updates, node after node, round after round. Timestamps lie shortly after ``ahead_of``
        (seconds since 1970); a home agent takes them from some seconds before to some seconds after that. With
        ``moving`` each node registers a new care-of address each round."""
        packets = []
        agent = parse_address(HOME_AGENT)
        for position in range(self._position, self._position + total):
            number = position % self._count
            if number == 0:
                self._round += 1
                self._place += moving
            packets.append(self._update(number, agent, ahead_of))
        self._position += total
        return b"".join(packets)

    def _update(self, number: int, agent: Address, ahead_of: float) -> bytes:
        home, care_of = home_address(number), care_of_address(number, self._place)
        update = BindingUpdate(
            self._round & 0xFFFF,
            _LIFETIME_UNITS,
            acknowledge=True,
            home_registration=True,
            options=(
                AlternateCareOfAddress(care_of),
                MobileNodeIdentifier(identifier(number).encode()),
                MessageId(ntp_timestamp(ahead_of + self._round * 1e-3)),
            ),
        )
        message, data = sign(update, self._association, care_of, home)
        return encode_packet(Packet(care_of, agent, message, home_address=home, data=data))


def echo_requests(size: int, total: int, destination: str, port: int) -> bytes:
    """UDP datagrams of ``size`` bytes, headers included, from the same sources."""
    length = size - 40
    target = parse_address(destination)
    packets = []
    for position in range(total):
        source = care_of_address(position, 0)
        head = (9).to_bytes(2) + port.to_bytes(2) + length.to_bytes(2)
        words = source + target + length.to_bytes(4) + (17).to_bytes(4) + head
        total_words = sum(int.from_bytes(words[at : at + 2]) for at in range(0, len(words), 2))
        checksum = ~(total_words % 0xFFFF) & 0xFFFF or 0xFFFF
        header = (6 << 28).to_bytes(4) + length.to_bytes(2) + bytes((17, 64)) + source + target
        packets.append(header + head + checksum.to_bytes(2) + bytes(length - 8))
    return b"".join(packets)
