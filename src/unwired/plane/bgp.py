"""What is announced and to whom, as the supervisor is told it: frozen settings and their JSON form."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from unwired.wire.address import IPV4_BITS, Address, format_address, is_ipv4, parse_address

Prefix = tuple[Address, int]
"""Prefix and length; of an IPv4 prefix those of its v4-mapped form, so the length is 96 and more."""
Community = tuple[int, ...]
"""Two numbers of 16 bits (RFC 1997), or three of 32 bits (RFC 8092)."""


class BgpMode(StrEnum):
    MANAGED = "managed"
    """The supervisor runs a BIRD 2 of its own."""
    EXTERNAL = "external"
    """The operator's routing daemon exports the marked route."""


@dataclass(frozen=True, slots=True)
class BgpNeighbor:
    """A router of the site, on a link that we share. A session carries the prefixes of its own address family, so a
    router that is told of both kinds is two neighbours. ``password``: TCP MD5 signatures (RFC 2385).
    ``ttl_security``: packets from further away are not taken (RFC 5082); the router must have it too."""

    address: Address
    as_number: int
    bfd: bool = True
    ttl_security: bool = False
    password: str = ""


@dataclass(frozen=True, slots=True)
class BgpConfig:
    """The section [bgp]. ``as_number`` is the origin of the home prefixes, the same for the whole set; 0 and no
    neighbours where the mode is external. ``router_id`` is 32 bits, 0: derived from the home agent's address.
    ``drain_time_s`` is how long neighbours have to prefer another site before a graceful withdrawal is complete
    (RFC 8326); ``hold_time_s`` how long a site stays announced without a word from its daemon."""

    mode: BgpMode = BgpMode.EXTERNAL
    as_number: int = 0
    neighbors: tuple[BgpNeighbor, ...] = ()
    communities: tuple[Community, ...] = ()
    router_id: int = 0
    bfd_interval_ms: int = 50
    bfd_multiplier: int = 3
    drain_time_s: float = 5.0
    hold_time_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Announcement:
    """``bgp.router_id`` is never 0 here."""

    prefixes: tuple[Prefix, ...]
    bgp: BgpConfig


def derived_router_id(home_agent_address: Address) -> int:
    """A BGP identifier that differs between the members of a set: in one AS it must be unique (RFC 6286)."""
    return int.from_bytes(hashlib.sha256(home_agent_address).digest()[:4]) or 1


def prefix_text(prefix: Prefix) -> str:
    address, length = prefix
    return f"{format_address(address)}/{length - IPV4_BITS if is_ipv4(address) else length}"


def to_json(announcement: Announcement) -> dict[str, Any]:
    bgp = announcement.bgp
    return {
        "prefixes": [[format_address(address), length] for address, length in announcement.prefixes],
        "mode": bgp.mode.value,
        "as": bgp.as_number,
        "neighbors": [
            {
                "address": format_address(neighbor.address),
                "as": neighbor.as_number,
                "bfd": neighbor.bfd,
                "ttl_security": neighbor.ttl_security,
                "password": neighbor.password,
            }
            for neighbor in bgp.neighbors
        ],
        "communities": [list(community) for community in bgp.communities],
        "router_id": bgp.router_id,
        "bfd_interval_ms": bgp.bfd_interval_ms,
        "bfd_multiplier": bgp.bfd_multiplier,
        "drain_time_s": bgp.drain_time_s,
        "hold_time_s": bgp.hold_time_s,
    }


def from_json(record: Any) -> Announcement:
    """Raises ValueError when it is not what ``to_json`` makes."""
    try:
        return Announcement(
            tuple((parse_address(address), int(length)) for address, length in record["prefixes"]),
            BgpConfig(
                BgpMode(record["mode"]),
                int(record["as"]),
                tuple(
                    BgpNeighbor(
                        parse_address(neighbor["address"]),
                        int(neighbor["as"]),
                        bool(neighbor["bfd"]),
                        bool(neighbor["ttl_security"]),
                        str(neighbor["password"]),
                    )
                    for neighbor in record["neighbors"]
                ),
                tuple(tuple(int(part) for part in community) for community in record["communities"]),
                int(record["router_id"]),
                int(record["bfd_interval_ms"]),
                int(record["bfd_multiplier"]),
                float(record["drain_time_s"]),
                float(record["hold_time_s"]),
            ),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no announcement: {error!r}") from None
