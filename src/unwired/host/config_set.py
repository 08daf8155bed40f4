"""The sections that make a home agent a member of a home agent set: ``[home_agent_set]`` and ``[[member]]``."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo

from unwired.core.settings import Durability, HomeAgentSetSettings, Member
from unwired.host.config_models import HomeAgentSection, HostAddress, Section, refusal
from unwired.plane.carrier import PORT
from unwired.plane.certificates import Credentials
from unwired.wire.address import format_address, home_agents_anycast, in_prefix

Found = tuple[str, str, str, str]
"""Key, what, why, fix."""


def _member_name(value: object) -> str:
    if not isinstance(value, str) or not value.replace("-", "").isalnum() or not value.isascii() or len(value) > 32:
        raise refusal(
            f"{value!r} can't name a member",
            "names are told to people and name files: 1 to 32 letters, digits and -",
            'choose a name like "tokyo"',
        )
    return value


def _file(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str):
        raise refusal("is not text", f"{type(value).__name__} was given", 'write it in quotes, like "tokyo.crt"')
    path = Path(info.context["directory"], value) if info.context else Path(value)
    try:
        path.read_bytes()
    except OSError as error:
        raise refusal(
            f"the file {path} can't be read",
            error.strerror or type(error).__name__,
            "correct the path, or make the file with: unwired members certificate",
        ) from None
    return path


MemberName = Annotated[str, BeforeValidator(_member_name)]
ReadableFile = Annotated[Path, BeforeValidator(_file)]


class HomeAgentSetSection(Section):
    member: MemberName
    group_id: Annotated[int, Field(ge=1, le=65_535)]
    durability: Literal["local", "one-peer", "quorum"] = Durability.ONE_PEER.value
    hello_interval_ms: Annotated[int, Field(ge=10, le=10_000)] = 50
    hello_misses: Annotated[int, Field(ge=2, le=100)] = 3
    join_timeout_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    port: Annotated[int, Field(ge=1, le=65_535)] = PORT
    certificate: ReadableFile
    private_key: ReadableFile
    authority: ReadableFile


class MemberSection(Section):
    name: MemberName
    address: HostAddress
    locator: HostAddress


@dataclass(frozen=True, slots=True)
class HomeAgentSetConfig:
    """``port`` is that of the stream (TCP) and of the HELLO datagrams (UDP), at every member's locator."""

    settings: HomeAgentSetSettings
    port: int
    credentials: Credentials


def check(
    section: HomeAgentSetSection, members: list[MemberSection], agent: HomeAgentSection, subscribers: set[bytes]
) -> Iterator[Found]:
    """What is wrong between the sections; ``subscribers`` are their home addresses."""
    names = [member.name for member in members]
    if section.member not in names:
        yield (
            "home_agent_set.member",
            f'there is no member "{section.member}"',
            "it says which of the members this one is",
            f"use one of {', '.join(names) or 'those that you list as [[member]]'}",
        )
    elif (own := members[names.index(section.member)]).address != agent.address:
        yield (
            "home_agent_set.member",
            f'"{section.member}" has another address than home_agent.address',
            f"{format_address(own.address)} and {format_address(agent.address)}: it is one home agent",
            "correct one of the two",
        )
    if agent.home_link is not None:
        yield (
            "home_agent.home_link",
            "can't be real in a home agent set",
            "the members are far apart and share the home prefix by routing alone, so the home link is virtual",
            "leave home_link out",
        )
    if len(members) < 2 and section.durability != Durability.LOCAL.value:
        yield (
            "home_agent_set.durability",
            f'"{section.durability}" needs other members',
            "a binding would be acknowledged only when another member holds it",
            'list the others as [[member]], or set it to "local"',
        )
    yield from _repeated(members)
    for number, member in enumerate(members):
        inside = [prefix for prefix in agent.home_prefixes if in_prefix(member.address, *prefix)]
        if not inside:
            yield (
                f"member[{number}].address",
                f'"{format_address(member.address)}" is in none of the home prefixes',
                "home agent addresses come from the prefix that all members announce",
                "take an address of a home prefix",
            )
        if any(member.address in (prefix, home_agents_anycast(prefix, length)) for prefix, length in inside):
            yield (
                f"member[{number}].address",
                f'"{format_address(member.address)}" is an anycast address of the home prefix',
                "it stands for every router or home agent there (RFC 4291 section 2.6.1, RFC 2526)",
                "take another address of the prefix",
            )
        if any(in_prefix(member.locator, *prefix) for prefix in agent.home_prefixes):
            yield (
                f"member[{number}].locator",
                f'"{format_address(member.locator)}" is in a home prefix',
                "all members announce that prefix; a locator must lead to this one alone",
                "take an address that the site's provider gives",
            )
        if member.address in subscribers:
            yield (
                f"member[{number}].address",
                f'"{format_address(member.address)}" is a subscriber\'s home address',
                "one address can't be both a node's and an agent's",
                "choose another",
            )


def _repeated(members: list[MemberSection]) -> Iterator[Found]:
    shown: dict[str, Callable[[MemberSection], str]] = {
        "name": lambda member: member.name,
        "address": lambda member: format_address(member.address),
        "locator": lambda member: format_address(member.locator),
    }
    for key, text in shown.items():
        first: dict[str, int] = {}
        for number, member in enumerate(members):
            other = first.setdefault(text(member), number)
            if other != number:
                yield (
                    f"member[{number}].{key}",
                    f'"{text(member)}" is given twice',
                    f"member[{other}] has it already",
                    "remove one of the two or correct it",
                )


def settings(section: HomeAgentSetSection, members: list[MemberSection]) -> HomeAgentSetConfig:
    """Of sections in which ``check`` finds nothing."""
    everyone = tuple(Member(member.name, member.address, member.locator) for member in members)
    own = next(number for number, member in enumerate(everyone, 1) if member.name == section.member)
    return HomeAgentSetConfig(
        HomeAgentSetSettings(
            own=own,
            members=everyone,
            group_id=section.group_id,
            durability=Durability(section.durability),
            hello_interval_s=section.hello_interval_ms / 1000,
            hello_misses=section.hello_misses,
            join_timeout_s=section.join_timeout_s,
        ),
        section.port,
        Credentials(section.certificate, section.private_key, section.authority),
    )
