"""The sections that say how the home prefixes are announced: ``[bgp]`` and ``[[bgp.neighbor]]``."""

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo

from unwired.host.config_models import HomeAgentSection, Section, refusal
from unwired.plane.bgp import BgpConfig, BgpMode, BgpNeighbor, Community, derived_router_id
from unwired.wire.address import (
    UNSPECIFIED,
    Address,
    format_address,
    in_prefix,
    is_ipv4,
    is_unicast_routable,
    parse_address,
)

Found = tuple[str, str, str, str]
"""Key, what, why, fix."""
PASSWORD_MAX = 80
"""Bytes of a key of the kernel's TCP MD5 signatures (TCP_MD5SIG_MAXKEYLEN)."""
AS_TRANS = 23456
"""RFC 6793 section 9."""


def _as_number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise refusal("is no AS number", f"{type(value).__name__} was given", "write the number without quotes")
    if not 1 <= value <= 2**32 - 2 or value in (AS_TRANS, 65_535):
        raise refusal(
            f"{value} can't be used",
            "AS numbers are 1 to 4294967294; 23456 and 65535 are reserved (RFC 6793, RFC 7300)",
            "use the number that the registry gave, or a private one (64512 to 65534)",
        )
    return value


def _community(value: object) -> Community:
    fix = 'write it like "4690:100" (RFC 1997) or "4690:1:100" (RFC 8092)'
    if not isinstance(value, str):
        raise refusal("is not text", f"{type(value).__name__} was given", fix)
    parts = value.split(":")
    if len(parts) not in (2, 3) or not all(re.fullmatch(r"[0-9]{1,10}", part) for part in parts):
        raise refusal(f'"{value}" is no community', "it is two or three numbers with colons between them", fix)
    community = tuple(int(part) for part in parts)
    if max(community) >= (2**16 if len(community) == 2 else 2**32):
        raise refusal(
            f'"{value}" is too large',
            "the numbers of a community have 16 bits, those of a large community (three numbers) 32",
            fix,
        )
    return community


def _router_id(value: object) -> int:
    try:
        router_id = int(ipaddress.IPv4Address(value)) if isinstance(value, str) else 0
    except ValueError:
        router_id = 0
    if not router_id:
        raise refusal(
            f"{value!r} is no router id",
            "it is written like an IPv4 address and is not 0.0.0.0 (RFC 6286)",
            'write it like "192.0.2.1", or leave it out: one is derived from home_agent.address',
        )
    return router_id


def _password(value: object, info: ValidationInfo) -> str:
    # No message here may repeat the value.
    fix = 'write "text:..." or "file:PATH", with what the router has'
    kind, colon, password = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not colon or kind not in ("text", "file"):
        raise refusal("does not say what kind of secret it is", "it must start with text: or file:", fix)
    if kind == "file":
        path = Path(info.context["directory"], password) if info.context else Path(password)
        try:
            password = path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise refusal(
                f"the password's file {path} can't be read", reason, "correct the path, or let the daemon read the file"
            ) from None
    if not re.fullmatch(rf"[ -~]{{1,{PASSWORD_MAX}}}", password) or '"' in password:
        raise refusal(
            "is no password for BGP",
            f'it has 1 to {PASSWORD_MAX} printable ASCII characters (RFC 2385), and no " for BIRD',
            fix,
        )
    return password


AsNumber = Annotated[int, BeforeValidator(_as_number)]
CommunityText = Annotated[Community, BeforeValidator(_community)]
RouterId = Annotated[int, BeforeValidator(_router_id)]
Password = Annotated[str, BeforeValidator(_password)]


def _neighbor_address(value: object) -> Address:
    try:
        address = parse_address(value) if isinstance(value, str) else UNSPECIFIED
    except ValueError:
        address = UNSPECIFIED
    if not is_unicast_routable(address):
        raise refusal(
            f"{value!r} is no router's address",
            "a session is with a global, unique local or private unicast address; IPv4 prefixes are announced to IPv4 "
            "addresses, IPv6 prefixes to IPv6 addresses",
            'write it like "2001:db8::1" or "192.0.2.1"',
        )
    return address


NeighborAddress = Annotated[bytes, BeforeValidator(_neighbor_address)]


class BgpNeighborSection(Section):
    address: NeighborAddress
    as_number: AsNumber = Field(alias="as")
    bfd: bool = True
    ttl_security: bool = False
    password: Password = ""


class BgpSection(Section):
    mode: Literal["managed", "external"] = BgpMode.MANAGED.value
    as_number: AsNumber | None = Field(default=None, alias="as")
    router_id: RouterId | None = None
    communities: list[CommunityText] = Field(default_factory=list)
    bfd_interval_ms: Annotated[int, Field(ge=10, le=10_000)] = 50
    bfd_multiplier: Annotated[int, Field(ge=2, le=50)] = 3
    drain_time_s: Annotated[float, Field(ge=0, le=600)] = 5.0
    hold_time_s: Annotated[float, Field(ge=3, le=3600)] = 30.0
    neighbor: list[BgpNeighborSection] = Field(default_factory=list)


MANAGED_ONLY = ("as_number", "router_id", "communities", "bfd_interval_ms", "bfd_multiplier", "neighbor")


def check(section: BgpSection, agent: HomeAgentSection) -> Iterator[Found]:
    """What is wrong between the sections."""
    if agent.home_link is not None:
        yield (
            "home_agent.home_link",
            "can't be real where the home prefix is announced by [bgp]",
            "the home link's own router announces it; what is announced here leads into the daemon's virtual home link",
            "leave home_link out, or [bgp]",
        )
    ipv4 = agent.address_ipv4
    if ipv4 is not None and not any(in_prefix(ipv4, *prefix) for prefix in agent.home_prefixes_ipv4):
        yield (
            "home_agent.address_ipv4",
            f'"{format_address(ipv4)}" is in no IPv4 home prefix',
            "mobile nodes in IPv4 networks reach the nearest home agent by it, so it has to be announced, and what is "
            "announced are the home prefixes",
            "take an address of a prefix in home_prefixes_ipv4, the same at all members",
        )
    if section.mode == BgpMode.EXTERNAL.value:
        for name in MANAGED_ONLY:
            if name in section.model_fields_set:
                yield (
                    f"bgp.{'as' if name == 'as_number' else name}",
                    'has no effect where bgp.mode is "external"',
                    "the sessions are those of your own routing daemon",
                    'say it there and remove it here, or set bgp.mode = "managed"',
                )
        return
    if section.as_number is None:
        yield (
            "bgp.as",
            "is missing",
            "the home prefixes are announced as originating in an AS, the same for all members of a set",
            'add as = NUMBER, or set bgp.mode = "external"',
        )
    if not section.neighbor:
        yield (
            "bgp.neighbor",
            "is missing",
            "somebody has to be told of the home prefixes: the site's router",
            'add [[bgp.neighbor]] with address and as, or set bgp.mode = "external"',
        )
    for family, prefixes, wanted in (("IPv6", agent.home_prefixes, False), ("IPv4", agent.home_prefixes_ipv4, True)):
        has_neighbor = any(is_ipv4(neighbor.address) is wanted for neighbor in section.neighbor)
        if section.neighbor and bool(prefixes) is not has_neighbor:
            yield (
                "bgp.neighbor",
                f"has no {family} address" if prefixes else f"has an {family} address, and there is no {family} prefix",
                "a session carries the prefixes of its own address family, so a router that is told of both is two "
                "neighbours",
                f"add the router's {family} address as another [[bgp.neighbor]]" if prefixes else "remove it",
            )
    first: dict[bytes, int] = {}
    for number, neighbor in enumerate(section.neighbor):
        key = f"bgp.neighbor[{number}]"
        other = first.setdefault(neighbor.address, number)
        if other != number:
            yield (
                f"{key}.address",
                f'"{format_address(neighbor.address)}" is given twice',
                f"bgp.neighbor[{other}] has it already",
                "remove one of the two or correct it",
            )
        if any(in_prefix(neighbor.address, *prefix) for prefix in (*agent.home_prefixes, *agent.home_prefixes_ipv4)):
            yield (
                f"{key}.address",
                f'"{format_address(neighbor.address)}" is in a home prefix',
                "home addresses are behind tunnels; the site's router is on a link of this host",
                "take the router's address on the link that you share",
            )
        if neighbor.as_number == section.as_number:
            yield (
                f"{key}.as",
                "is our own AS",
                "the home prefixes are announced to other ASes (eBGP): BGP between routers of one AS does not pass on "
                "what it learns",
                'correct it, or use a routing daemon of your own with bgp.mode = "external"',
            )


def settings(section: BgpSection, home_agent_address: bytes) -> BgpConfig:
    """Of sections in which ``check`` finds nothing."""
    return BgpConfig(
        mode=BgpMode(section.mode),
        as_number=section.as_number or 0,
        neighbors=tuple(
            BgpNeighbor(neighbor.address, neighbor.as_number, neighbor.bfd, neighbor.ttl_security, neighbor.password)
            for neighbor in section.neighbor
        ),
        communities=tuple(section.communities),
        router_id=section.router_id or derived_router_id(home_agent_address),
        bfd_interval_ms=section.bfd_interval_ms,
        bfd_multiplier=section.bfd_multiplier,
        drain_time_s=section.drain_time_s,
        hold_time_s=section.hold_time_s,
    )
