"""The RADIUS attributes of Proxy Mobile IPv6 (RFC 6572), as a table."""

from dataclasses import dataclass
from enum import IntFlag, StrEnum


class RadiusType(StrEnum):
    """Data types of attributes (RFC 8044 section 3), by IANA's names."""

    TEXT = "text"
    STRING = "string"
    INTEGER64 = "integer64"
    IPV4ADDR = "ipv4addr"
    IPV4PREFIX = "ipv4prefix"
    """10 reserved bits, 6 bits of prefix length, 4 bytes (RFC 6572 section 4.12)."""
    IPV6ADDR = "ipv6addr"
    IPV6PREFIX = "ipv6prefix"
    """A reserved byte, the prefix length in one, up to 16 bytes (RFC 6572 section 4.8)."""
    IFID = "ifid"
    """An interface identifier, 8 bytes."""


@dataclass(frozen=True, slots=True)
class RadiusAttribute:
    """One attribute: the number, name and type that IANA has for it."""

    number: int
    name: str
    data_type: RadiusType
    reference: str


RADIUS_ATTRIBUTES: dict[int, RadiusAttribute] = {
    attribute.number: attribute
    for attribute in (
        RadiusAttribute(31, "Calling-Station-Id", RadiusType.TEXT, "RFC 6572, 4.18"),
        RadiusAttribute(89, "Chargeable-User-Identity", RadiusType.STRING, "RFC 6572, 4.19"),
        RadiusAttribute(124, "MIP6-Feature-Vector", RadiusType.INTEGER64, "RFC 6572, 4.1; RFC 5447"),
        RadiusAttribute(125, "MIP6-Home-Link-Prefix", RadiusType.STRING, "RFC 5447"),
        RadiusAttribute(145, "Mobile-Node-Identifier", RadiusType.STRING, "RFC 6572, 4.2"),
        RadiusAttribute(146, "Service-Selection", RadiusType.TEXT, "RFC 6572, 4.3"),
        RadiusAttribute(147, "PMIP6-Home-LMA-IPv6-Address", RadiusType.IPV6ADDR, "RFC 6572, 4.4"),
        RadiusAttribute(148, "PMIP6-Visited-LMA-IPv6-Address", RadiusType.IPV6ADDR, "RFC 6572, 4.5"),
        RadiusAttribute(149, "PMIP6-Home-LMA-IPv4-Address", RadiusType.IPV4ADDR, "RFC 6572, 4.6"),
        RadiusAttribute(150, "PMIP6-Visited-LMA-IPv4-Address", RadiusType.IPV4ADDR, "RFC 6572, 4.7"),
        RadiusAttribute(151, "PMIP6-Home-HN-Prefix", RadiusType.IPV6PREFIX, "RFC 6572, 4.8"),
        RadiusAttribute(152, "PMIP6-Visited-HN-Prefix", RadiusType.IPV6PREFIX, "RFC 6572, 4.9"),
        RadiusAttribute(153, "PMIP6-Home-Interface-ID", RadiusType.IFID, "RFC 6572, 4.10"),
        RadiusAttribute(154, "PMIP6-Visited-Interface-ID", RadiusType.IFID, "RFC 6572, 4.11"),
        RadiusAttribute(155, "PMIP6-Home-IPv4-HoA", RadiusType.IPV4PREFIX, "RFC 6572, 4.12"),
        RadiusAttribute(156, "PMIP6-Visited-IPv4-HoA", RadiusType.IPV4PREFIX, "RFC 6572, 4.13"),
        RadiusAttribute(157, "PMIP6-Home-DHCP4-Server-Address", RadiusType.IPV4ADDR, "RFC 6572, 4.14"),
        RadiusAttribute(158, "PMIP6-Visited-DHCP4-Server-Address", RadiusType.IPV4ADDR, "RFC 6572, 4.15"),
        RadiusAttribute(159, "PMIP6-Home-DHCP6-Server-Address", RadiusType.IPV6ADDR, "RFC 6572, 4.16"),
        RadiusAttribute(160, "PMIP6-Visited-DHCP6-Server-Address", RadiusType.IPV6ADDR, "RFC 6572, 4.17"),
        RadiusAttribute(161, "PMIP6-Home-IPv4-Gateway", RadiusType.IPV4ADDR, "RFC 6572, 4.20"),
        RadiusAttribute(162, "PMIP6-Visited-IPv4-Gateway", RadiusType.IPV4ADDR, "RFC 6572, 4.21"),
    )
}


class MobilityCapability(IntFlag):
    """Bits of the MIP6-Feature-Vector attribute (RFC 5447 section 4.2.5, 5779 5.5, 6572 4.1, 7156)."""

    MIP6_INTEGRATED = 1 << 0
    LOCAL_HOME_AGENT_ASSIGNMENT = 1 << 1
    PMIP6_SUPPORTED = 1 << 40
    IP4_HOA_SUPPORTED = 1 << 41
    LOCAL_MAG_ROUTING_SUPPORTED = 1 << 42
    ASSIGN_LOCAL_IP = 1 << 43
    MIP4_SUPPORTED = 1 << 44
    OPTIMIZED_IDLE_MODE_MOBILITY = 1 << 45
    GTPV2_SUPPORTED = 1 << 46
    IP4_TRANSPORT_SUPPORTED = 1 << 47
    IP4_HOA_ONLY_SUPPORTED = 1 << 48
    INTER_MAG_ROUTING_SUPPORTED = 1 << 49
