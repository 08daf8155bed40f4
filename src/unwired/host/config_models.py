"""The configuration file's sections as pydantic models: types, ranges and what each key means.

A validator that refuses a value raises ``refusal(why, fix)``; ``config.load`` turns every error into a ``Problem``.
"""

import contextlib
import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from unwired.core.authentication import SPI_MIN
from unwired.core.settings import Algorithm, Family, Prefix
from unwired.wire.address import (
    IPV4_BITS,
    UNSPECIFIED,
    UNSPECIFIED_IPV4,
    V4_MAPPED,
    Address,
    is_ipv4,
    is_unicast_routable,
    parse_address,
)

KEY_BYTES_MIN = 16
_Network = TypeVar("_Network", ipaddress.IPv6Network, ipaddress.IPv4Network)
LIFETIME_MAX_S = 65_535 * 4
"""A binding's lifetime is 16 bits of 4-second units (RFC 6275 section 6.1.7)."""


def refusal(what: str, why: str, fix: str) -> PydanticCustomError:
    # The braces of a message template are escaped: nothing in it is substituted.
    return PydanticCustomError("unwired", "{what}", {"what": what, "why": why, "fix": fix})


def _string(value: object, example: str) -> str:
    if not isinstance(value, str):
        raise refusal("is not text", f"{type(value).__name__} was given", f"write it in quotes, like {example}")
    return value


def _address(value: object) -> Address:
    text = _string(value, '"2001:db8::1"')
    try:
        address = parse_address(text)
    except ValueError:
        raise refusal(f'"{text}" is no address', "it can't be read as IPv6", 'write it like "2001:db8::1"') from None
    if is_ipv4(address) or not is_unicast_routable(address):
        raise refusal(
            f'"{text}" can\'t be used here',
            "only a global or unique local IPv6 unicast address is routable to a mobile node",
            'use an address like "2001:db8::1"',
        )
    return address


def _address_ipv4(value: object) -> Address:
    text = _string(value, '"192.0.2.1"')
    try:
        address = parse_address(text)
    except ValueError:
        raise refusal(f'"{text}" is no address', "it can't be read as IPv4", 'write it like "192.0.2.1"') from None
    if not is_ipv4(address) or not is_unicast_routable(address):
        raise refusal(
            f'"{text}" can\'t be used here',
            "only an IPv4 unicast address, public or private, is routable to a mobile node",
            'use an address like "192.0.2.1"',
        )
    return address


def _home_address_ipv4(value: object) -> Address:
    return UNSPECIFIED_IPV4 if value == "dynamic" else _address_ipv4(value)


def _prefix_of(value: object, kind: type[_Network], name: str, example: str) -> _Network:
    text = _string(value, f'"{example}"')
    try:
        return kind(text)
    except ValueError as error:
        fix = f'write it like "{example}"'
        with contextlib.suppress(ValueError):
            fix = f'write "{kind(text, strict=False)}"'
        raise refusal(f'"{text}" is no {name} prefix', str(error), fix) from None


def _prefix_ipv6(value: object) -> Prefix:
    network = _prefix_of(value, ipaddress.IPv6Network, "IPv6", "2001:db8:100::/64")
    return network.network_address.packed, network.prefixlen


def _prefix_ipv4(value: object) -> Prefix:
    network = _prefix_of(value, ipaddress.IPv4Network, "IPv4", "192.0.2.0/24")
    return V4_MAPPED + network.network_address.packed, IPV4_BITS + network.prefixlen


def _any_prefix(value: object) -> Prefix:
    return _prefix_ipv4(value) if isinstance(value, str) and "." in value and ":" not in value else _prefix_ipv6(value)


def _home_prefix(value: object) -> Prefix:
    prefix = _prefix_ipv6(value)
    if not 1 <= prefix[1] <= 127:
        raise refusal(
            f'"{value}" can\'t be a home prefix',
            "a home prefix holds several home addresses and is not the whole Internet",
            'use a prefix like "2001:db8:100::/64"',
        )
    return prefix


def _home_prefix_ipv4(value: object) -> Prefix:
    prefix = _prefix_ipv4(value)
    if prefix[1] == IPV4_BITS:
        raise refusal(f'"{value}" can\'t be used here', "it is the whole Internet", 'use a prefix like "192.0.2.0/24"')
    return prefix


def _home_address(value: object) -> Prefix:
    text, _, length = _string(value, '"2001:db8:100::1000/64"').partition("/")
    if length and not (length.isdecimal() and 1 <= int(length) <= 128):
        raise refusal(f'"/{length}" is no prefix length', "it must be 1 to 128", f'write it like "{text}/64"')
    return _address(text), int(length or 64)


def _secret(value: object, info: ValidationInfo) -> bytes:
    # No message here may repeat the value: it is, or may be, the secret.
    fix = 'write "hex:..." with 32 hexadecimal digits, "text:..." or "file:PATH"; make one with: openssl rand -hex 16'
    kind, colon, rest = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not colon or kind not in ("hex", "text", "file"):
        raise refusal("does not say what kind of secret it is", "it must start with hex:, text: or file:", fix)
    if kind == "hex":
        try:
            secret = bytes.fromhex(rest)
        except ValueError:
            raise refusal("is no hexadecimal number", "something in it is not 0-9 or a-f", fix) from None
    elif kind == "text":
        secret = rest.encode()
    else:
        path = Path(info.context["directory"], rest) if info.context else Path(rest)
        try:
            secret = path.read_bytes().rstrip(b"\r\n")
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise refusal(
                f"the secret's file {path} can't be read", reason, "correct the path, or let the daemon read the file"
            ) from None
    if len(secret) < KEY_BYTES_MIN:
        raise refusal(
            f"the key has {len(secret)} bytes",
            f"a key shorter than {KEY_BYTES_MIN} bytes is easily guessed (RFC 4285 section 5.1 has 16)",
            fix,
        )
    return secret


_DEVICE = re.compile(r"[^\s/:]{1,15}")


def _device(value: object) -> str:
    text = _string(value, '"eth0"')
    if not _DEVICE.fullmatch(text) or text in (".", "..", "all", "default"):
        raise refusal(
            f'"{text}" is no interface name', "Linux takes 1 to 15 characters without spaces, / or :", 'like "eth0"'
        )
    return text


def _daemon_name(value: object) -> str:
    text = _string(value, '"home-agent"')
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", text):
        raise refusal(
            f'"{text}" can\'t name a daemon',
            "it names directories: 1 to 32 letters, digits, - or _, starting with a letter or digit",
            'choose a name like "home-agent"',
        )
    return text


def _identifier(value: object) -> bytes:
    text = _string(value, '"mn@example.org"')
    if not 1 <= len(text.encode()) <= 253:
        raise refusal(
            "is empty or too long", "a network access identifier has 1 to 253 bytes (RFC 7542)", 'like "mn@example.org"'
        )
    return text.encode()


def _directory(value: object) -> Path:
    path = Path(_string(value, '"/run/unwired"'))
    if not path.is_absolute():
        raise refusal(
            f'"{path}" is not an absolute path', "the daemon may be started from any directory", f'write "/{path}"'
        )
    return path


def _families(value: object) -> list[Family]:
    if not isinstance(value, list) or not value or any(one not in list(Family) for one in value):
        names = " and ".join(f'"{family}"' for family in Family)
        raise refusal("is no list of address families", f"there are {names}", 'write it like ["ipv6", "ipv4"]')
    if len(set(value)) < len(value):
        raise refusal("names a family twice", "the order is that of preference", 'write it like ["ipv6", "ipv4"]')
    return [Family(one) for one in value]


def _listening(value: object) -> tuple[str, int]:
    text = _string(value, '"127.0.0.1:9467"')
    address, _, port = text.rpartition(":")
    try:
        host = ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))
        if (host.version == 6) != address.startswith("[") or not 1 <= int(port) <= 65_535:
            raise ValueError
    except ValueError:
        why = "an address and a port are needed, the address in [ ] where it is IPv6"
        raise refusal(f'"{text}" is nothing to listen at', why, 'write it like "127.0.0.1:9467"') from None
    return str(host), int(port)


HostAddress = Annotated[bytes, BeforeValidator(_address)]
HostAddressIpv4 = Annotated[bytes, BeforeValidator(_address_ipv4)]
HomeAddressIpv4 = Annotated[bytes, BeforeValidator(_home_address_ipv4)]
AnyPrefix = Annotated[Prefix, BeforeValidator(_any_prefix)]
PrefixIpv4 = Annotated[Prefix, BeforeValidator(_home_prefix_ipv4)]
HomePrefixText = Annotated[Prefix, BeforeValidator(_home_prefix)]
HomeAddressText = Annotated[Prefix, BeforeValidator(_home_address)]
Listening = Annotated[tuple[str, int], BeforeValidator(_listening)]
Families = Annotated[list[Family], BeforeValidator(_families)]
Secret = Annotated[bytes, BeforeValidator(_secret)]
Device = Annotated[str, BeforeValidator(_device)]
DaemonName = Annotated[str, BeforeValidator(_daemon_name)]
Identifier = Annotated[bytes, BeforeValidator(_identifier)]
Directory = Annotated[Path, BeforeValidator(_directory)]
LifetimeS = Annotated[int, Field(ge=4, le=LIFETIME_MAX_S)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class DaemonSection(Section):
    name: DaemonName | None = None
    runtime_dir: Directory = Path("/run/unwired")
    state_dir: Directory = Path("/var/lib/unwired")
    uplinks: list[Device] | None = None
    tunnel_device: Device = "mip0"
    punt_device: Device | None = None
    tunnel_mtu: Annotated[int, Field(ge=1280, le=65_535)] | None = None
    shortcut: bool = True
    clamp_mss: bool = True
    routing_table: Annotated[int, Field(ge=1000, le=2**31)] = 7700
    rule_priority: Annotated[int, Field(ge=1, le=32_000)] = 5200
    metrics: Listening | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class KeySection(Section):
    spi: Annotated[int, Field(ge=SPI_MIN, le=2**32 - 1)]
    secret: Secret
    algorithm: Literal["hmac-sha1", "hmac-sha256"] = Algorithm.HMAC_SHA1.value


class SubscriberSection(Section):
    identifier: Identifier
    home_address: HostAddress
    home_address_ipv4: HostAddressIpv4 | None = None
    mobile_prefixes_ipv4: list[PrefixIpv4] = []
    key: list[KeySection] = []


class HomeAgentSection(Section):
    address: HostAddress
    home_prefixes: Annotated[list[HomePrefixText], Field(min_length=1)]
    home_link: Device | None = None
    lifetime_max_s: LifetimeS = 420
    refresh_advice_s: Annotated[int, Field(ge=0, le=LIFETIME_MAX_S)] = 0
    preference: Annotated[int, Field(ge=0, le=65_535)] = 0
    bindings_max: Annotated[int, Field(ge=1)] = 100_000
    timestamp_window_s: Annotated[float, Field(gt=0, le=3600)] = 7.0
    previous_care_of_address_grace_s: Annotated[float, Field(ge=0, le=60)] = 3.0
    advertisement_interval_min_s: Annotated[float, Field(ge=0.03, le=1350)] = 1.0
    advertisement_interval_max_s: Annotated[float, Field(ge=0.07, le=1800)] = 3.0
    insecure: bool = False
    address_ipv4: HostAddressIpv4 | None = None
    home_prefixes_ipv4: list[PrefixIpv4] = []
    pool_ipv4: list[PrefixIpv4] = []
    mobile_prefix_pool_ipv4: list[PrefixIpv4] = []
    nat_keepalive_s: Annotated[int, Field(ge=5, le=86_400)] = 110
    force_udp: bool = False
    allow_forced_udp: bool = True
    subscribers: str | None = None
    subscriber: list[SubscriberSection] = []


class MobileNodeSection(Section):
    identifier: Identifier
    home_address: HomeAddressText
    home_agent: HostAddress | None = None
    interfaces: list[Device] = []
    lifetime_s: LifetimeS = 420
    first_registration_timeout_s: Annotated[float, Field(ge=1, le=32)] = 1.5
    insecure: bool = False
    home_agent_ipv4: HostAddressIpv4 | None = None
    home_address_ipv4: HomeAddressIpv4 | None = None
    mobile_prefix_length_ipv4: Annotated[int, Field(ge=8, le=32)] | None = None
    families: Families = list(Family)
    force_udp: bool = False
    use_home_address_for: list[AnyPrefix] = [(UNSPECIFIED, 0), (UNSPECIFIED_IPV4, IPV4_BITS)]
    use_care_of_address_for: list[AnyPrefix] = []
    key: KeySection | None = None
