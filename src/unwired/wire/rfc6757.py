"""RFC 6757 and RFC 7563: the mobility option that says in which access network a mobile node is."""

from unwired.wire.families import Choice, Member, SubOptions, UnknownForm, UnknownSubOption, kind_of
from unwired.wire.mobility import MobilityOption, mobility_option

ACCESS_NETWORK_SUB_OPTIONS = SubOptions("access_network_sub_options", "access network identifier sub-option")
OPERATORS = Choice("operator", "operator identifier")
"""By Op-ID type (section 3.1.3)."""
CIVIC_LOCATIONS = Choice("civic_location", "civic location")
"""By format (RFC 7563 section 3.1)."""
SubOptions("civic_elements", "civic address element")
_DEGREE = 1 << 15
"""Units of a latitude or longitude (section 3.1.2)."""
_UPDATE_UNIT_S = 4


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |   Type = 52   | Option Length |      ANI Sub-option(s) ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@mobility_option(52, "Access Network Identifier", "RFC 6757, 3", "sub_options:access_network_sub_options", align=(4, 0))
class AccessNetworkIdentifier(MobilityOption):
    """At least one sub-option, of each type one."""

    sub_options: tuple[Member, ...]


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  ANI Type = 1 |   ANI Length  |E|   Reserved  |  Net-Name Len |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  | Network Name ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  AP-Name Len  |     Access-Point Name ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(
    ACCESS_NETWORK_SUB_OPTIONS,
    1,
    "Network-Identifier",
    "RFC 6757, 3.1.1",
    "is_utf8:flag _:7 network_name:short_text access_point_name:short_text",
)
class NetworkIdentifier(Member):
    """The network's name (an SSID, a PLMN identifier), in UTF-8 with ``is_utf8`` (E), and the access point's if it has
    one."""

    network_name: bytes
    access_point_name: bytes = b""
    is_utf8: bool = True


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  ANI Type = 2 | ANI Length = 6|       Latitude Degrees
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#                   |              Longitude Degrees                |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(ACCESS_NETWORK_SUB_OPTIONS, 2, "Geo-Location", "RFC 6757, 3.1.2", "latitude:signed24 longitude:signed24")
class GeoLocation(Member):
    """Where the network is (WGS 84), in 1/32768 degree; north and east are positive."""

    latitude: int
    longitude: int

    @property
    def latitude_degrees(self) -> float:
        return self.latitude / _DEGREE

    @property
    def longitude_degrees(self) -> float:
        return self.longitude / _DEGREE


@kind_of(OPERATORS, 1, "Private Enterprise Number", "RFC 6757, 3.1.3", "number:integer")
class OperatorNumber(Member):
    """An operator by its private enterprise number."""

    number: int


@kind_of(OPERATORS, 2, "Realm", "RFC 6757, 3.1.3", "realm:text")
class OperatorRealm(Member):
    """An operator by its realm, in ASCII."""

    realm: bytes


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  ANI Type = 3 |   ANI Length  |   Op-ID Type  |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  | Operator-Identifier ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(ACCESS_NETWORK_SUB_OPTIONS, 3, "Operator-Identifier", "RFC 6757, 3.1.3", "operator:which8 operator:operator")
class OperatorIdentifier(Member):
    """Whose network it is."""

    operator: OperatorNumber | OperatorRealm | UnknownForm


@kind_of(CIVIC_LOCATIONS, 0, "Civic Address", "RFC 7563, 3.1; RFC 4776, 3.1", "country:2B elements:civic_elements")
class CivicAddress(Member):
    """``country`` is the two letters of ISO 3166; ``elements`` are ``UnknownSubOption`` with RFC 4776's CAtype as their
    type and UTF-8 text as their data."""

    country: bytes
    elements: tuple[UnknownSubOption, ...] = ()


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  ANI Type = 4 |   ANI Length  |     Format    |    Reserved   |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  | civic location ...
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(
    ACCESS_NETWORK_SUB_OPTIONS,
    4,
    "Civic-Location",
    "RFC 7563, 3.1",
    "location:which8 _:8 location:civic_location",
)
class CivicLocation(Member):
    """The mobile node's street address."""

    location: CivicAddress | UnknownForm


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  ANI Type = 5 | ANI Length = 2|        group identifier       |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(ACCESS_NETWORK_SUB_OPTIONS, 5, "MAG-Group-Identifier", "RFC 7563, 3.2", "group:16")
class MagGroupIdentifier(Member):
    """The group of the mobile access gateway. (The text says three octets; drawing and length say two.)"""

    group: int


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  ANI Type = 6 | ANI Length = 2|          Update-Timer         |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
@kind_of(ACCESS_NETWORK_SUB_OPTIONS, 6, "ANI Update-Timer", "RFC 7563, 3.3", "interval_units:16")
class AniUpdateTimer(Member):
    """How often at most changes are reported; ``interval_units`` counts 4 s, 0 means at once."""

    interval_units: int

    @property
    def interval_s(self) -> int:
        return self.interval_units * _UPDATE_UNIT_S
