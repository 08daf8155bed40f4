"""RFC 6618: the packet types of Mobile IPv6 security by TLS."""

from enum import IntEnum


class Dsmip6TlsPacketType(IntEnum):
    """The first four bits of a packet between mobile node and home agent (section 6.2)."""

    NON_ENCRYPTED_IP_PACKET = 0
    ENCRYPTED_IP_PACKET = 1
    MOBILITY_HEADER = 8
