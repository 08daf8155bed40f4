"""The configuration file: read, checked as a whole, turned into frozen settings.

Nothing here touches the host beyond reading files: ``unwired config check`` is this module alone.
"""

import difflib
import tomllib
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from unwired.core.settings import (
    Algorithm,
    HomeAgentSettings,
    HomePrefix,
    MobileNodeSettings,
    Prefix,
    SecurityAssociation,
    Subscriber,
)
from unwired.host import subscriber_copy
from unwired.host.config_bgp import BgpSection
from unwired.host.config_bgp import check as check_bgp
from unwired.host.config_bgp import settings as bgp_settings
from unwired.host.config_ipv4 import (
    AGENT_KEYS,
    NODE_KEYS,
    check_home_agent,
    check_mobile_node,
    check_subscriber,
    overlapping,
)
from unwired.host.config_models import (
    DaemonSection,
    HomeAgentSection,
    KeySection,
    MobileNodeSection,
    SubscriberSection,
)
from unwired.host.config_set import HomeAgentSetConfig, HomeAgentSetSection, MemberSection
from unwired.host.config_set import check as check_set
from unwired.host.config_set import settings as set_settings
from unwired.host.problems import ConfigError, Problem
from unwired.plane import certificates
from unwired.plane.bgp import Announcement, BgpConfig
from unwired.wire.address import IPV4_BITS, Address, format_address, format_prefix, in_prefix

__all__ = ["Config", "ConfigError", "DaemonConfig", "HomeAgentConfig", "MobileNodeConfig", "Problem", "load"]

Model = TypeVar("Model", bound=BaseModel)
SOCKET_PATH_MAX = 107
ROLES: dict[str, type[BaseModel]] = {"home_agent": HomeAgentSection, "mobile_node": MobileNodeSection}
TUNNEL_MTU = {"home_agent": 1452, "mobile_node": 1420}
"""What fits with a tunnel's headers into 1500 bytes: 28 for UDP in IPv4, which a host's CLAT makes 48, 40 for IPv6,
also where PPPoE leaves 1492. A mobile node leaves room for a second IPv6 header: in a home agent set, what it sends
just after it moved may go on from the nearest member to the one that it is registered with."""
OF_A_SET = ("home_agent_set", "member", "bgp")
"""Sections that belong to a home agent that is a member of a set."""


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    """``uplinks`` None: every interface with carrier except loopback and our own."""

    name: str
    runtime_dir: Path
    state_dir: Path
    uplinks: tuple[str, ...] | None
    tunnel_device: str
    punt_device: str
    tunnel_mtu: int
    shortcut: bool
    clamp_mss: bool
    routing_table: int
    rule_priority: int
    log_level: str
    metrics: tuple[str, int] | None = None

    @property
    def runtime(self) -> Path:
        return self.runtime_dir / self.name

    @property
    def control_socket(self) -> Path:
        return self.runtime / "control.sock"

    @property
    def journal(self) -> Path:
        return self.state_dir / self.name / "journal.sqlite"

    @property
    def subscriber_copy(self) -> Path:
        return self.state_dir / self.name / subscriber_copy.NAME


@dataclass(frozen=True, slots=True)
class SubscribersFile:
    """What was read from it, and the ``digest`` of its text."""

    digest: bytes
    subscribers: tuple[Subscriber, ...]


@dataclass(frozen=True, slots=True)
class HomeAgentConfig:
    """``settings`` lacks what only the running host knows about the home link: see ``on_link``. ``to_copy`` is a
    subscribers file of which there is no copy yet (``subscriber_copy.py``)."""

    settings: HomeAgentSettings
    home_link: str | None
    subscribers: tuple[Subscriber, ...]
    home_agent_set: HomeAgentSetConfig | None = None
    bgp: BgpConfig | None = None
    to_copy: SubscribersFile | None = field(default=None, compare=False)

    @property
    def uses_ipv4_networks(self) -> bool:
        """Whether tunnels may come in IPv4."""
        return self.settings.address_ipv4 is not None

    @property
    def has_ipv4_home_addresses(self) -> bool:
        """Whether IPv4 packets may come out of tunnels."""
        settings = self.settings
        if settings.home_prefixes_ipv4 or settings.mobile_prefix_pool_ipv4:
            return True
        return any(subscriber.mobile_prefixes_ipv4 for subscriber in self.subscribers)

    @property
    def announcement(self) -> Announcement | None:
        """What is announced to whom; None without [bgp]."""
        if self.bgp is None:
            return None
        homes = ((home.prefix, home.length) for home in self.settings.home_prefixes)
        return Announcement((*homes, *self.settings.home_prefixes_ipv4), self.bgp)

    def on_link(self, interface: int, link_layer_address: bytes, link_local_address: Address) -> HomeAgentSettings:
        return replace(
            self.settings,
            home_interface=interface,
            home_interface_link_layer_address=link_layer_address,
            home_interface_link_local_address=link_local_address,
        )


@dataclass(frozen=True, slots=True)
class MobileNodeConfig:
    """The two lists say for which destinations the host's new connections start from the home address."""

    settings: MobileNodeSettings
    use_home_address_for: tuple[Prefix, ...]
    use_care_of_address_for: tuple[Prefix, ...]

    @property
    def uses_ipv4_networks(self) -> bool:
        return self.settings.home_agent_ipv4 is not None

    @property
    def has_ipv4_home_addresses(self) -> bool:
        return self.settings.home_address_ipv4 is not None


@dataclass(frozen=True, slots=True)
class Config:
    path: Path
    daemon: DaemonConfig
    role: HomeAgentConfig | MobileNodeConfig

    @property
    def role_name(self) -> str:
        return "home_agent" if isinstance(self.role, HomeAgentConfig) else "mobile_node"

    def warnings(self) -> list[str]:
        """What works today and should be looked at."""
        if not isinstance(self.role, HomeAgentConfig) or self.role.home_agent_set is None:
            return []
        return certificates.warnings(self.role.home_agent_set.credentials, datetime.now(UTC))


def load(path: Path | str) -> Config:
    """The configuration in ``path``. Raises ConfigError with every problem at once."""
    return _Loader(Path(path)).load()


class _Loader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self._wrong: dict[str, set[str]] = {}
        """The wrong keys of each section, by its dotted path: what depends on them is not checked."""
        self._copy: Path | None = None
        self._to_copy: SubscribersFile | None = None

    def load(self) -> Config:
        text = self._read(self.path)
        document = None if text is None else self._parse(self.path, text)
        if document is None:
            raise ConfigError(self.problems)
        known = ["daemon", *ROLES, *OF_A_SET]
        for name in document:
            if name not in known:
                self._say(name, *_unknown(name, known, "section"))
        daemon = self._validate(DaemonSection, document.get("daemon", {}), "daemon")
        home_agent = mobile_node = None
        if "home_agent" in document:
            self._copy = None if daemon is None else self._daemon(daemon, "home_agent").subscriber_copy
            home_agent = self._home_agent(document["home_agent"], document)
        if "mobile_node" in document:
            mobile_node = self._mobile_node(document["mobile_node"])
        given = [name for name in ROLES if name in document]
        if len(given) != 1:
            what = "has both roles" if given else "has no role"
            why = "one daemon has one role, and its section says which"
            fix = (
                "move one to a file of its own, with another daemon.name"
                if given
                else "add [home_agent] or [mobile_node]"
            )
            self._say("", what, why, fix)
        for name in OF_A_SET:
            if name in document and "home_agent" not in document:
                self._say(name, "needs [home_agent]", "only home agents form a set", "add [home_agent], or remove this")
            elif name in document and "home_agent_set" not in document:
                why = "this is for a home agent that is one of many"
                self._say(name, "needs [home_agent_set]", why, "add [home_agent_set], or remove this")
        role = home_agent or mobile_node
        if daemon is not None and given:
            self._check_socket_path(self._daemon(daemon, given[0]))
        if self.problems or daemon is None or role is None:
            raise ConfigError(self.problems)
        return Config(self.path, self._daemon(daemon, given[0]), role)

    # --- sections ---

    def _daemon(self, section: DaemonSection, role: str) -> DaemonConfig:
        return DaemonConfig(
            name=section.name or role.replace("_", "-"),
            runtime_dir=section.runtime_dir,
            state_dir=section.state_dir,
            uplinks=None if section.uplinks is None else tuple(section.uplinks),
            tunnel_device=section.tunnel_device,
            punt_device=section.punt_device or f"{section.tunnel_device[:11]}-ctl",
            tunnel_mtu=section.tunnel_mtu or TUNNEL_MTU[role],
            shortcut=section.shortcut,
            clamp_mss=section.clamp_mss,
            routing_table=section.routing_table,
            rule_priority=section.rule_priority,
            log_level=section.log_level,
            metrics=section.metrics,
        )

    def _check_socket_path(self, daemon: DaemonConfig) -> None:
        length = len(bytes(daemon.control_socket))
        if length > SOCKET_PATH_MAX:
            self._say(
                "daemon.runtime_dir",
                f"makes the control socket's path {length} bytes long",
                f"the kernel takes {SOCKET_PATH_MAX} at most",
                "choose a directory with a shorter path",
            )

    def _home_agent(self, raw: Any, document: dict[str, Any]) -> HomeAgentConfig | None:
        where = "home_agent"
        listed = raw.get("subscriber", []) if isinstance(raw, dict) else []
        if not isinstance(listed, list):
            listed = []  # the model says so
        else:
            raw = {key: value for key, value in raw.items() if key != "subscriber"} if isinstance(raw, dict) else raw
        section = self._validate(HomeAgentSection, raw, where)
        found = self._subscribers(listed, f"{where}.subscriber", self.path)
        if section is not None and section.subscribers is not None:
            found += self._subscribers_file(section.subscribers)
        if section is None:
            self._check_duplicates(found)
            return None
        intervals = {"advertisement_interval_min_s", "advertisement_interval_max_s"}
        if (
            not intervals & self._wrong[where]
            and section.advertisement_interval_min_s > 0.75 * section.advertisement_interval_max_s
        ):
            self._say(
                f"{where}.advertisement_interval_min_s",
                "is too near to advertisement_interval_max_s",
                "RFC 6275 section 7.5 allows at most 3/4 of it",
                f"set it to {0.75 * section.advertisement_interval_max_s:g} or less",
            )
        if not any(in_prefix(section.address, *prefix) for prefix in section.home_prefixes):
            self._say(
                f"{where}.address",
                f'"{format_address(section.address)}" is in none of the home prefixes',
                "a home agent's address is on the home link (RFC 6275 section 8.4)",
                "take an address of a home prefix, or add its prefix to home_prefixes",
            )
        if not AGENT_KEYS & self._wrong[where]:
            for key, what, why, fix in check_home_agent(section):
                self._say(f"{where}.{key}", what, why, fix)
        self._check_duplicates(found)
        for file, key, subscriber in found:
            self._check_subscriber(section, file, key, subscriber)
        settings = HomeAgentSettings(
            address=section.address,
            home_prefixes=tuple(HomePrefix(prefix, length) for prefix, length in section.home_prefixes),
            lifetime_max_s=section.lifetime_max_s,
            refresh_advice_s=section.refresh_advice_s,
            preference=section.preference,
            bindings_max=section.bindings_max,
            timestamp_window_s=section.timestamp_window_s,
            previous_care_of_address_grace_s=section.previous_care_of_address_grace_s,
            advertisement_interval_min_s=section.advertisement_interval_min_s,
            advertisement_interval_max_s=section.advertisement_interval_max_s,
            insecure=section.insecure,
            address_ipv4=section.address_ipv4,
            home_prefixes_ipv4=tuple(section.home_prefixes_ipv4),
            pool_ipv4=tuple(section.pool_ipv4),
            mobile_prefix_pool_ipv4=tuple(section.mobile_prefix_pool_ipv4),
            nat_keepalive_s=section.nat_keepalive_s,
            force_udp=section.force_udp,
            allow_forced_udp=section.allow_forced_udp,
        )
        subscribers = tuple(subscriber for _, _, subscriber in found)
        if "home_agent_set" not in document:
            return HomeAgentConfig(settings, section.home_link, subscribers, to_copy=self._to_copy)
        home_agent_set = self._home_agent_set(document, section, subscribers)
        bgp = self._bgp(document["bgp"], section) if "bgp" in document else None
        if home_agent_set is None:
            return None
        settings = replace(settings, home_agent_set=home_agent_set.settings)
        return HomeAgentConfig(settings, None, subscribers, home_agent_set, bgp, self._to_copy)

    def _home_agent_set(
        self, document: dict[str, Any], agent: HomeAgentSection, subscribers: tuple[Subscriber, ...]
    ) -> HomeAgentSetConfig | None:
        section = self._validate(HomeAgentSetSection, document["home_agent_set"], "home_agent_set")
        listed = document.get("member", [])
        if not isinstance(listed, list):
            self._say("member", "is not a list", "a set has several members", "write [[member]]")
            return None
        members = [self._validate(MemberSection, raw, f"member[{number}]") for number, raw in enumerate(listed)]
        complete = [member for member in members if member is not None]
        if section is None or len(complete) < len(members):
            return None
        found = list(check_set(section, complete, agent, {subscriber.home_address for subscriber in subscribers}))
        for problem in found:
            self._say(*problem)
        if found:
            return None
        made = set_settings(section, complete)
        for wrong in certificates.check(made.credentials, made.settings.self.locator, datetime.now(UTC)):
            self._say(
                "home_agent_set.certificate",
                wrong,
                "members prove to each other who they are by certificates of the set's own authority",
                "make it with: unwired members certificate",
            )
        return made

    def _bgp(self, raw: Any, agent: HomeAgentSection) -> BgpConfig | None:
        section = self._validate(BgpSection, raw, "bgp")
        if section is None or self._wrong["bgp"]:
            return None
        found = list(check_bgp(section, agent))
        for problem in found:
            self._say(*problem)
        return None if found else bgp_settings(section, agent.address)

    def _mobile_node(self, raw: Any) -> MobileNodeConfig | None:
        where = "mobile_node"
        section = self._validate(MobileNodeSection, raw, where)
        if section is None:
            return None
        wrong = self._wrong[where]
        if section.key is None and not section.insecure and not wrong & {"key", "insecure"}:
            self._say(
                f"{where}.key",
                "is missing",
                "binding updates are authenticated with a key that the home agent shares (RFC 4285)",
                "add [mobile_node.key] with spi and secret as in the home agent's file, or say insecure = true",
            )
        if section.home_agent is None and not section.insecure and not wrong & {"home_agent", "insecure"}:
            self._say(
                f"{where}.home_agent",
                "is missing",
                "the home agent can only be discovered without authentication (RFC 4285 section 2)",
                'add home_agent = "ADDRESS"',
            )
        address, length = section.home_address
        if section.home_agent == address:
            self._say(
                f"{where}.home_address",
                "is the home agent's own address",
                "one address can't be both the node's and the agent's",
                "give the node an address of its own in the home prefix",
            )
        if not NODE_KEYS & wrong:
            for key, what, why, fix in check_mobile_node(section):
                self._say(f"{where}.{key}", what, why, fix)
        prefix_length = section.mobile_prefix_length_ipv4
        settings = MobileNodeSettings(
            identifier=section.identifier,
            home_address=address,
            home_prefix_length=length,
            home_agent=section.home_agent,
            association=None if section.key is None else _association(section.key),
            lifetime_s=section.lifetime_s,
            interfaces=tuple(section.interfaces),
            insecure=section.insecure,
            first_registration_timeout_s=section.first_registration_timeout_s,
            home_agent_ipv4=section.home_agent_ipv4,
            home_address_ipv4=section.home_address_ipv4,
            mobile_prefix_length_ipv4=0 if prefix_length is None else IPV4_BITS + prefix_length,
            families=tuple(section.families),
            force_udp=section.force_udp,
        )
        return MobileNodeConfig(settings, tuple(section.use_home_address_for), tuple(section.use_care_of_address_for))

    # --- subscribers ---

    def _subscribers(self, listed: list[Any], where: str, file: Path) -> list[tuple[Path, str, Subscriber]]:
        found = []
        for number, raw in enumerate(listed):
            key = f"{where}[{number}]"
            section = self._validate(SubscriberSection, raw, key, file)
            if section is None:
                continue
            spis = [association.spi for association in section.key]
            for spi in {spi for spi in spis if spis.count(spi) > 1}:
                self._say(f"{key}.key", f"spi {spi} is used twice", "an SPI names one key", "give each its own", file)
            associations = tuple(_association(association) for association in section.key)
            subscriber = Subscriber(
                section.identifier,
                section.home_address,
                associations,
                section.home_address_ipv4,
                tuple(section.mobile_prefixes_ipv4),
            )
            found.append((file, key, subscriber))
        return found

    def _subscribers_file(self, name: str) -> list[tuple[Path, str, Subscriber]]:
        file = self.path.parent / name
        text = self._read(file)
        if text is None:
            return []
        digest = subscriber_copy.digest(text)
        copied = None if self._copy is None else subscriber_copy.read(self._copy, digest)
        if copied is not None:
            return [(file, f"subscriber[{number}]", subscriber) for number, subscriber in enumerate(copied)]
        document = self._parse(file, text)
        if document is None:
            return []
        for key in document:
            if key != "subscriber":
                self._say(key, *_unknown(key, ["subscriber"], "section"), file)
        listed = document.get("subscriber", [])
        if not isinstance(listed, list):
            self._say("subscriber", "is not a list", "it holds several", "write [[subscriber]]", file)
            return []
        before = len(self.problems)
        found = self._subscribers(listed, "subscriber", file)
        if len(self.problems) == before and not _have_secret_files(listed):
            self._to_copy = SubscribersFile(digest, tuple(subscriber for _, _, subscriber in found))
        return found

    def _check_duplicates(self, found: list[tuple[Path, str, Subscriber]]) -> None:
        def unique(name: str, value: Callable[[Subscriber], bytes | None], text: Callable[[bytes], str]) -> None:
            first: dict[bytes, str] = {}
            for file, key, subscriber in found:
                given = value(subscriber)
                other = key if given is None else first.setdefault(given, key)
                if given is not None and other != key:
                    self._say(
                        f"{key}.{name}",
                        f'"{text(given)}" is given twice',
                        f"{other} has it already, and it names one mobile node",
                        "remove one of the two or correct it",
                        file,
                    )

        unique("identifier", lambda subscriber: subscriber.identifier, lambda value: value.decode())
        unique("home_address", lambda subscriber: subscriber.home_address, format_address)
        unique("home_address_ipv4", lambda subscriber: subscriber.home_address_ipv4, format_address)
        files = {key: file for file, key, _ in found}
        prefixes = ((key, prefix) for _, key, subscriber in found for prefix in subscriber.mobile_prefixes_ipv4)
        for key, prefix, other in overlapping(prefixes):
            self._say(
                f"{key}.mobile_prefixes_ipv4",
                f'"{format_prefix(*prefix)}" has addresses in common with another mobile prefix',
                f"{other} has that one, and what is sent to it goes to one mobile node",
                "remove one of the two or correct it",
                files[key],
            )

    def _check_subscriber(self, agent: HomeAgentSection, file: Path, key: str, subscriber: Subscriber) -> None:
        address = subscriber.home_address
        if address == agent.address:
            self._say(
                f"{key}.home_address",
                "is the home agent's own address",
                "one address can't be both the node's and the agent's",
                "give the node another address of a home prefix",
                file,
            )
        elif not any(in_prefix(address, *prefix) for prefix in agent.home_prefixes):
            prefixes = ", ".join(format_prefix(*prefix) for prefix in agent.home_prefixes)
            self._say(
                f"{key}.home_address",
                f'"{format_address(address)}" is in none of the home prefixes',
                f"the home agent receives packets for {prefixes} only",
                "choose an address of a home prefix, or add its prefix to home_agent.home_prefixes",
                file,
            )
        if not AGENT_KEYS & self._wrong["home_agent"]:
            for name, what, why, fix in check_subscriber(agent, subscriber):
                self._say(f"{key}.{name}", what, why, fix, file)
        certain = "key" not in self._wrong.get(key, ()) and "insecure" not in self._wrong["home_agent"]
        if not subscriber.associations and not agent.insecure and certain:
            self._say(
                f"{key}.key",
                "is missing",
                "binding updates are authenticated with a key that the mobile node shares (RFC 4285)",
                f"add [[{key.split('[')[0]}.key]] with spi and secret, or say home_agent.insecure = true",
                file,
            )

    # --- reading and saying ---

    def _read(self, file: Path) -> bytes | None:
        try:
            return file.read_bytes()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            self._say("", "can't be read", reason, "correct the path or the file's permissions", file)
            return None

    def _parse(self, file: Path, text: bytes) -> dict[str, Any] | None:
        try:
            return tomllib.loads(text.decode())
        except UnicodeDecodeError as error:
            self._say("", "is not text in UTF-8", f"byte {error.start} is none", "save it as UTF-8", file)
        except tomllib.TOMLDecodeError as error:
            self._say("", "is no valid TOML", str(error), "correct the line; text values stand in quotes", file)
        return None

    def _validate(self, model: type[Model], raw: Any, where: str, file: Path | None = None) -> Model | None:
        """The section without what is wrong in it, which is said and noted; None when too much is wrong. So that a
        mistake does not hide others that show only when several keys are looked at."""
        self._wrong[where] = set()
        if not isinstance(raw, dict):
            self._say(where, "is not a section", f"{type(raw).__name__} was given", f"write [{where}] and keys", file)
            return None
        context = {"directory": (file or self.path).parent}
        try:
            return model.model_validate(raw, context=context)
        except ValidationError as invalid:
            for error in invalid.errors(include_url=False, include_input=False):
                key, *inside = error["loc"]
                location = [key, *(part for part in inside if not _is_union_branch(part))]
                self._say(_dotted(where, location), *_explain(model, location, dict(error)), file)
                self._wrong[where].add(str(key))
        try:
            return model.model_validate(
                {key: value for key, value in raw.items() if key not in self._wrong[where]}, context=context
            )
        except ValidationError:
            return None  # something that has no default is wrong

    def _say(self, key: str, what: str, why: str, fix: str, file: Path | None = None) -> None:
        self.problems.append(Problem(str(file or self.path), key, what, why, fix))


def _association(key: KeySection) -> SecurityAssociation:
    return SecurityAssociation(key.spi, key.secret, Algorithm(key.algorithm))


def _have_secret_files(subscribers: list[dict[str, Any]]) -> bool:
    """Whether the subscribers file alone does not say what is in it."""
    return any(key["secret"].startswith("file:") for subscriber in subscribers for key in subscriber.get("key", ()))


def _is_union_branch(part: str | int) -> bool:
    return isinstance(part, str) and ("[" in part or "(" in part)


def _dotted(where: str, location: Iterable[str | int]) -> str:
    for part in location:
        where += f"[{part}]" if isinstance(part, int) else f".{part}"
    return where


def _unknown(name: str, known: Iterable[str], kind: str) -> tuple[str, str, str]:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    fix = f'did you mean "{near[0]}"?' if near else f"remove it; known are: {', '.join(sorted(known))}"
    return f"is not a {kind} that is known", "it would have no effect, and a mistyped one would go unseen", fix


_KINDS = {
    "int_type": "a whole number without quotes",
    "int_from_float": "a whole number",
    "float_type": "a number without quotes",
    "bool_type": "true or false without quotes",
    "string_type": "text in quotes",
    "list_type": "a list in [ ]",
    "dict_type": "a section",
    "model_type": "a section",
    "model_attributes_type": "a section",
}


def _explain(model: type[BaseModel], location: list[str | int], error: dict[str, Any]) -> tuple[str, str, str]:
    """What, why and fix of one of pydantic's errors."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "unwired":
        return context["what"], context["why"], context["fix"]
    if kind == "missing":
        return "is missing", "there is no default for it", f"add {location[-1]} = ..."
    if kind == "extra_forbidden":
        return _unknown(str(location[-1]), _keys(model, location[:-1]), "key")
    if kind in _KINDS:
        return "has the wrong type", f"it must be {_KINDS[kind]}", f"write {_KINDS[kind]}"
    limits = {"greater_than_equal": ("at least", "ge"), "greater_than": ("more than", "gt"),
              "less_than_equal": ("at most", "le"), "less_than": ("less than", "lt")}  # fmt: skip
    if kind in limits:
        word, name = limits[kind]
        return "is out of range", f"it must be {word} {context[name]}", f"set it to {word} {context[name]}"
    if kind == "too_short":
        return "is empty", "at least one is needed", "add one"
    if kind == "literal_error":
        return "is none of the choices", f"it must be {context['expected']}", "choose one of them"
    return "is not acceptable", str(error["msg"]), "see docs/configuration.md"


def _keys(model: type[BaseModel], location: list[str | int]) -> list[str]:
    """The keys of the (nested) section that ``location`` leads to."""
    for part in location:
        if isinstance(part, str):
            model = _section_in(model.model_fields[part].annotation)
    return [field.alias or name for name, field in model.model_fields.items()]


def _section_in(annotation: Any) -> type[BaseModel]:
    while not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        annotation = next(inner for inner in typing.get_args(annotation) if inner is not type(None))
    return annotation
