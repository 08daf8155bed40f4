"""What engines tell people: one typed stream feeds logs, ``unwired events`` and metrics.

Drop reasons are a closed list; each is counted under its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from unwired.wire.address import Address


class Drop(StrEnum):
    """Why a control packet was dropped without an answer."""

    MALFORMED = "malformed"
    """It could not be decoded."""
    BAD_CHECKSUM = "bad_checksum"
    """The mobility header's or ICMPv6 checksum is wrong (RFC 6275 section 9.2)."""
    UNKNOWN_PAYLOAD = "unknown_payload"
    """A punted packet that is nothing this role speaks."""
    NOT_FOR_THIS_ROLE = "not_for_this_role"
    """A message that this role does not receive, a binding update at a mobile node for example."""
    NO_AUTHENTICATION = "no_authentication"
    """A binding update or acknowledgement without the required authentication option (RFC 4285 section 5)."""
    NO_SECURITY_ASSOCIATION = "no_security_association"
    """No key is shared with the sender, or not under this SPI (RFC 4285 section 5.1.1)."""
    BAD_AUTHENTICATOR = "bad_authenticator"
    """An acknowledgement whose authenticator is wrong."""
    STALE_SEQUENCE = "stale_sequence"
    """An acknowledgement to a binding update that is not the last one sent."""
    FORGED_SOURCE = "forged_source"
    """Source, home address or care-of address contradict each other or are no unicast address."""
    RATE_LIMITED = "rate_limited"
    """Too many answers of this kind in a short time (RFC 4443 section 2.4 f)."""
    TABLE_FULL = "table_full"
    """No room for more state of this kind."""
    NOT_OUR_ADDRESS = "not_our_address"
    """Sent to an address that this role does not serve."""
    BEYOND_THE_LINK = "beyond_the_link"
    """Neighbour discovery whose hop limit is not 255, or on a link that is not ours (RFC 4861 section 6.1)."""
    AMBIGUOUS_OPTIONS = "ambiguous_options"
    """Options that must not be repeated or combined are (RFC 4285 section 5, RFC 6275 section 9.5.1)."""
    PREFIX_DISCOVERY_OFF = "prefix_discovery_off"
    """A mobile prefix solicitation where the authentication option leaves prefix discovery off (RFC 4285 section 2)."""
    UNRELATED_ERROR = "unrelated_error"
    """An ICMP error about a packet that we did not send, one that quotes too little to tell, or one that nobody is to
    be told about (RFC 4443 2.4 e)."""
    UNKNOWN_HOME_ADDRESS = "unknown_home_address"
    """A packet in a tunnel to us that is not for us, and comes from no home address that is bound."""
    NAT_PROBE_TOO_LONG = "nat_probe_too_long"
    """A question how long a NAT keeps a mapping for a time that nobody has to know."""
    HELLO_NOT_A_MEMBER = "hello_not_a_member"
    """A datagram on the HELLO port from an address that is no other member's locator."""
    HELLO_TRUNCATED = "hello_truncated"
    """A HELLO that ends before it should by its own account."""
    HELLO_TRAILING_BYTES = "hello_trailing_bytes"
    """A HELLO with something after its authenticator."""
    HELLO_MALFORMED = "hello_malformed"
    """A HELLO of another version, or whose body can't be decoded."""
    HELLO_OTHER_GROUP = "hello_other_group"
    """A HELLO of another home agent set (draft-wakikawa-mext-global-haha-spec section 5.2.4)."""
    HELLO_NO_KEY = "hello_no_key"
    """A HELLO of a member whose key we have not been given yet."""
    HELLO_OTHER_EPOCH = "hello_other_epoch"
    """A HELLO under a key that is not, or no longer, the member's."""
    HELLO_REPLAYED = "hello_replayed"
    """A HELLO that came before, or too long ago for that to be known."""
    HELLO_BAD_AUTHENTICATOR = "hello_bad_authenticator"
    """A HELLO that its sender did not make, or not for us."""
    HELLO_ABSURD = "hello_absurd"
    """An authentic HELLO whose values contradict each other or are out of bounds."""
    REPLAYED = "replayed"
    """A home agent switch whose timestamp is not later than the last one's or far from the clock (RFC 4285 section
    6)."""
    UNWANTED_SWITCH = "unwanted_switch"
    """A home agent switch where there is nothing to switch: at home, on the way there, or at another care-of
    address."""


class Level(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    """A person should look."""
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Notice:
    """``name`` is stable and documented (docs/events.md); ``fields`` hold plain JSON values and packed addresses, which
    become text only for who reads them."""

    name: str
    level: Level = Level.INFO
    fields: Mapping[str, str | int | float | bool | bytes | None] = field(default_factory=dict)
    home_address: Address | None = None
