"""What a scenario file says: an emulated Internet, who moves when, what traffic runs and what is expected of it.

These models are the format (docs/lab.md, ``scenario.schema.json``). They hold what the file says and check each part
on its own; ``scenario_file`` reads a file and checks the parts against each other. Interfaces are ``NODE.INTERFACE``.
"""

import ipaddress
import itertools
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from unwired.lab.metric import Metric

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_INTERFACE = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,14}")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("a name is 1 to 32 lower-case letters, digits and inner hyphens")
    return text


def _interface_name(text: str) -> str:
    if not _INTERFACE.fullmatch(text) or text == "lo":
        raise ValueError("an interface name is 1 to 15 letters, digits, _ and -, begins with a letter and is not lo")
    return text


def _end(text: str) -> str:
    node, dot, interface = text.partition(".")
    if not dot:
        raise ValueError("write it as NODE.INTERFACE, for example router1.eth0")
    _name(node)
    _interface_name(interface)
    return text


def _interface_address(text: str) -> str:
    if "/" not in text:
        raise ValueError("write the address with its prefix length, for example 2001:db8:1::1/64")
    return str(ipaddress.ip_interface(text))


def _prefix(text: str) -> str:
    return str(ipaddress.ip_network(text))


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _translation_prefix(text: str) -> str:
    prefix = ipaddress.IPv6Network(text)
    if prefix.prefixlen != 96:
        raise ValueError("a NAT64's prefix has a length of 96, for example 2001:db8:64::/96")
    return str(prefix)


def _ipv4_prefix(text: str) -> str:
    return str(ipaddress.IPv4Network(text))


Name: TypeAlias = Annotated[str, AfterValidator(_name)]
InterfaceName: TypeAlias = Annotated[str, AfterValidator(_interface_name)]
End: TypeAlias = Annotated[str, AfterValidator(_end)]
InterfaceAddress: TypeAlias = Annotated[str, AfterValidator(_interface_address)]
Prefix: TypeAlias = Annotated[str, AfterValidator(_prefix)]
HostAddress: TypeAlias = Annotated[str, AfterValidator(_address)]
TranslationPrefix: TypeAlias = Annotated[str, AfterValidator(_translation_prefix)]
Ipv4Prefix: TypeAlias = Annotated[str, AfterValidator(_ipv4_prefix)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, validate_by_name=True, validate_by_alias=True)


class Role(StrEnum):
    ROUTER = "router"
    HOST = "host"
    HOME_AGENT = "home_agent"
    MOBILE_NODE = "mobile_node"
    CORRESPONDENT = "correspondent"

    @property
    def forwards(self) -> bool:
        return self in (Role.ROUTER, Role.HOME_AGENT)


class Routing(StrEnum):
    STATIC = "static"
    """Shortest paths by delay, computed from the file and installed before the start."""
    OSPF = "ospf"
    """BIRD speaks OSPFv3 (and OSPFv2 where there is IPv4) on every router and home agent."""
    BGP = "bgp"
    """Every router is in an autonomous system and runs BIRD: BGP between those, OSPF and BGP inside one that has
    several routers; a session for each address family that a link has."""


class Shape(_Part):
    """What a wire does to what it carries, in each direction on its own."""

    delay_ms: float = Field(0, ge=0, le=10_000, description="One-way delay.")
    rate_mbit: float | None = Field(None, gt=0, description="Bits a second, in millions; left out: as fast as it goes.")
    loss_percent: float = Field(0, ge=0, le=100, description="Share of frames lost, chosen by the seed.")
    queue_ms: float = Field(100, gt=0, le=10_000, description="With a rate: the longest queue, tail drop beyond it.")

    @property
    def is_shaped(self) -> bool:
        return self.delay_ms > 0 or self.rate_mbit is not None or self.loss_percent > 0


class Place(_Part):
    """Where a node is on Earth, for maps."""

    latitude: float = Field(ge=-90, le=90, description="Degrees, north positive.")
    longitude: float = Field(ge=-180, le=180, description="Degrees, east positive.")
    name: str = Field("", description="What a map writes there, for example Tokyo.")


class NatPorts(StrEnum):
    PRESERVED = "preserved"
    """A mapping has the port of the host behind the NAT, where that is free."""
    RANDOM = "random"


class Nat(_Part):
    """A NAT of IPv4 as Linux does it: address and port dependent mapping and filtering (RFC 4787)."""

    outside: InterfaceName = Field(
        description="The interface towards the outside: what leaves by it gets the first IPv4 address of it."
    )
    ports: NatPorts = Field(NatPorts.PRESERVED, description="The ports that mappings get.")
    udp_timeout_s: int = Field(30, ge=1, description="How long a UDP mapping lives that has been used one way only.")
    udp_stream_timeout_s: int = Field(120, ge=1, description="How long one that has been used both ways lives.")


class Nat64(_Part):
    """A translator between an IPv6-only network and IPv4 (RFC 6146)."""

    prefix: TranslationPrefix = Field(description="What stands before IPv4 addresses (RFC 6052): a /96.")
    pool: Ipv4Prefix = Field(
        "192.168.64.0/24",
        description="IPv4 addresses, one for each node behind it; private ones want a `nat` on the same router.",
    )


class Node(_Part):
    name: Name
    role: Role
    place: Place | None = Field(None, description="Where it is on Earth, for the map of the report.")
    autonomous_system: int | None = Field(
        None, alias="as", ge=1, lt=1 << 32, description="Router, with routing = bgp: the number of its system."
    )
    originates: list[Prefix] = Field(
        default_factory=list,
        description="Router, with routing = bgp: the prefixes that it announces to other systems as its own. Left "
        "out: those of its interfaces but for the links to other systems.",
    )
    interfaces: dict[InterfaceName, list[InterfaceAddress]] = Field(
        default_factory=dict, description="Each interface with its addresses (and prefix lengths)."
    )
    takes: list[Prefix] = Field(
        default_factory=list,
        description="Prefixes to route to this node although no interface of it has them: a virtual home link's.",
    )
    attached: dict[InterfaceName, Name] = Field(
        default_factory=dict, description="Mobile node: the networks that its interfaces start in."
    )
    nat: Nat | None = Field(None, description="Router: what it does to IPv4 addresses on their way out.")
    nat64: Nat64 | None = Field(None, description="Router: its translator from and to IPv6-only networks.")
    clat: bool = Field(
        False,
        description="Mobile node: it has a translator of its own (RFC 6877), which gives it an IPv4 default route by "
        "an interface `clat` where router advertisements name a NAT64's prefix (RFC 8781).",
    )
    drops_icmp: bool = Field(
        False, description="Router: it neither sends nor forwards ICMP errors, Packet Too Big among them."
    )
    config: dict[str, Any] = Field(
        default_factory=dict,
        description="The configuration of this node's Unwired daemon, as in a file for `unwired run -c`. The lab "
        "fills in [daemon]. Left out: no daemon runs here.",
    )

    def functions(self) -> list[str]:
        """What it does besides its role, in a word each."""
        said = {"NAT": self.nat, "NAT64": self.nat64, "CLAT": self.clat, "drops ICMP": self.drops_icmp}
        return [word for word, does in said.items() if does]

    def home_address(self) -> str | None:
        """A mobile node's home address, without its prefix length."""
        return self._home_address("home_address")

    def traffic_addresses(self) -> dict[int, str]:
        """By IP version, the address that traffic uses when it names none: a home address that the configuration
        states, else the first one of an interface."""
        found = {version: address for key, version in (("home_address", 6), ("home_address_ipv4", 4))
                 if (address := self._home_address(key)) is not None}  # fmt: skip
        for first in map(ipaddress.ip_interface, itertools.chain.from_iterable(self.interfaces.values())):
            found.setdefault(first.version, str(first.ip))
        return found

    def _home_address(self, key: str) -> str | None:
        section = self.config.get("mobile_node")
        text = str(section.get(key, "")) if isinstance(section, dict) else ""
        try:
            return str(ipaddress.ip_interface(text).ip)
        except ValueError:  # none, a dynamic one, or a mistake, which the check of the configuration tells
            return None


class Link(Shape):
    """A wire between two interfaces."""

    between: tuple[End, End]
    mtu: int | None = Field(None, ge=1280, le=9000, description="Of both interfaces; left out: 1500.")


class Network(Shape):
    """A segment that any number of interfaces may share: an access network or a home link. Its shape lies between its
    members and the rest, so between a mobile node and the network's router."""

    name: Name
    members: list[End] = Field(description="The interfaces that are always in it: its routers.")
    advertise: bool = Field(
        True,
        description="The routers among the members send router advertisements. False on a home link whose home agent "
        "sends its own.",
    )
    advertiser: Literal["bird", "lab"] = Field(
        "bird",
        description="Who sends them: BIRD 2, or the lab itself, which adds the routers' link-layer addresses as common "
        "routers do. Linux makes a new address optimistic (RFC 4429) only with them.",
    )
    dhcp: bool = Field(
        True, description="The first router among the members that has an IPv4 address there gives out others by DHCP."
    )
    router_lifetime_s: int = Field(1800, ge=0, le=9000, description="0: not a default router.")
    valid_lifetime_s: int = Field(86_400, ge=0)
    preferred_lifetime_s: int = Field(14_400, ge=0)


class Move(_Part):
    """At ``at_s`` the interface loses the network it is in, and ``gap_s`` later has ``to``."""

    at_s: float = Field(gt=0)
    interface: End
    to: Name | None = Field(None, description="The network to go to; left out: none.")
    gap_s: float = Field(0.1, ge=0, description="How long there is no link in between.")


class Tour(_Part):
    """Moves at an even pace: network after network, ``rounds`` times."""

    interface: End
    networks: list[Name] = Field(min_length=1)
    start_s: float = Field(gt=0)
    every_s: float = Field(gt=0)
    rounds: int = Field(1, ge=1)
    gap_s: float = Field(0.1, ge=0)

    def moves(self) -> list[Move]:
        return [
            Move(at_s=self.start_s + index * self.every_s, interface=self.interface, to=network, gap_s=self.gap_s)
            for index, network in enumerate(self.networks * self.rounds)
        ]


class FailureKind(StrEnum):
    SITE = "site"
    """Every frame on every link of the node disappears, both ways; nobody sees a carrier go."""
    DAEMON = "daemon"
    """The node's Unwired daemon is killed with SIGKILL."""
    PARTITION = "partition"
    """Every frame on the named links disappears, both ways."""
    NAT = "nat"
    """The node's NAT forgets its mappings: new ones have random ports and the next one of its outside addresses."""


class Fail(_Part):
    """Something breaks at ``at_s`` and is mended at ``until_s``: frames pass again, the daemon is started again."""

    at_s: float = Field(gt=0)
    what: FailureKind
    node: Name | None = Field(None, description="The node whose site or whose daemon fails.")
    links: list[End] = Field(default_factory=list, description="Partition: the links that are cut, by either end.")
    until_s: float | None = Field(None, gt=0, description="Left out: never.")

    @model_validator(mode="after")
    def _has_its_object(self) -> "Fail":
        is_partition = self.what is FailureKind.PARTITION
        if is_partition != bool(self.links) or is_partition == (self.node is not None):
            raise ValueError("a partition has links; a site, a daemon and a NAT have a node")
        if self.what is FailureKind.NAT and self.until_s is not None:
            raise ValueError("a NAT that has forgotten its mappings is not mended: leave until_s out")
        return self

    @property
    def subject(self) -> str:
        return self.node or ", ".join(self.links)


class _Traffic(_Part):
    between: tuple[Name, Name] = Field(description="Two nodes; the traffic runs in both directions.")
    addresses: tuple[HostAddress, HostAddress] | None = Field(
        None,
        description="Left out: a mobile node's home address, else the first address of the node's interfaces, of the "
        "first family (IPv6, IPv4) that both nodes have.",
    )
    start_s: float = Field(0, ge=0)
    stop_s: float | None = Field(None, gt=0, description="Left out: the end of the run.")

    def ends(self, nodes: Mapping[str, Node]) -> tuple[str, str] | None:
        """The addresses of both ends; None where the nodes, by name, have none of the same family."""
        if self.addresses is not None:
            return self.addresses
        first, second = (nodes[name].traffic_addresses() for name in self.between)
        return next(((first[version], second[version]) for version in (6, 4) if version in first.keys() & second), None)


class Probe(_Traffic):
    kind: Literal["udp"]
    interval_ms: float = Field(10, gt=0)
    size_bytes: int = Field(64, ge=24, le=1400, description="Of the UDP payload.")


class Stream(_Traffic):
    kind: Literal["tcp"]
    rate_mbit: float = Field(4, gt=0)


Traffic: TypeAlias = Annotated[Probe | Stream, Field(discriminator="kind")]


class Expect(_Part):
    """One metric against one limit."""

    name: str | None = Field(None, description="What the table of expectations calls it; left out: the metric.")
    metric: Metric
    at_most: float | None = None
    at_least: float | None = None
    exactly: float | None = None

    @model_validator(mode="after")
    def _one_limit(self) -> "Expect":
        if sum(limit is not None for limit in (self.at_most, self.at_least, self.exactly)) != 1:
            raise ValueError("give exactly one of at_most, at_least, exactly")
        return self


class Scenario(_Part):
    name: Name
    title: str = ""
    description: str = ""
    duration_s: float = Field(gt=0, le=86_400, description="From the start of the traffic to its end.")
    seed: int = Field(1, ge=0, description="Chooses what is lost and the link-layer addresses.")
    routing: Routing = Routing.STATIC
    multipath: bool = Field(
        False, description="With routing = bgp: routers balance flows over all ways that are equally good."
    )
    leave_out: list[Name] = Field(
        default_factory=list,
        description="Nodes and networks of the base to do without, with all that hangs on them.",
    )
    measure_paths: bool = Field(
        False,
        description="Measure how a mobile node reaches every correspondent, through home agents and directly, "
        "whenever it has registered and after every failure.",
    )
    common: dict[Role, dict[str, Any]] = Field(
        default_factory=dict,
        description="By role, what the configurations of all its nodes with a daemon have in common. A node's own keys "
        "come before it.",
    )
    node: list[Node] = Field(min_length=1)
    link: list[Link] = Field(default_factory=list)
    network: list[Network] = Field(default_factory=list)
    move: list[Move] = Field(default_factory=list)
    tour: list[Tour] = Field(default_factory=list)
    fail: list[Fail] = Field(default_factory=list)
    traffic: list[Traffic] = Field(default_factory=list)
    expect: list[Expect] = Field(default_factory=list)

    def without(self, names: set[str]) -> "Scenario":
        """Without these nodes and networks, their links (both interfaces), moves, traffic and failures."""

        def stays(*ends: str) -> bool:
            return not any(end.partition(".")[0] in names for end in ends)

        networks = [
            network.model_copy(update={"members": [end for end in network.members if stays(end)]})
            for network in self.network
        ]
        gone = {end for link in self.link if not stays(*link.between) for end in link.between}
        nodes = [
            node.model_copy(
                update={
                    "interfaces": {
                        name: addresses
                        for name, addresses in node.interfaces.items()
                        if f"{node.name}.{name}" not in gone
                    }
                }
            )
            for node in self.node
            if stays(node.name)
        ]
        parts = {
            "node": nodes,
            "network": [network for network in networks if stays(network.name)],
            "link": [link for link in self.link if stays(*link.between)],
            "move": [move for move in self.move if stays(move.interface, move.to or "")],
            "tour": [tour for tour in self.tour if stays(tour.interface, *tour.networks)],
            "fail": [fail for fail in self.fail if stays(fail.node or "", *fail.links)],
            "traffic": [traffic for traffic in self.traffic if stays(*traffic.between)],
        }
        return self.model_copy(update=parts)

    def moves(self) -> list[Move]:
        """All moves, those of tours included, in the order of their times."""
        moves = [*self.move, *(move for tour in self.tour for move in tour.moves())]
        return sorted(moves, key=lambda move: move.at_s)

    def find_node(self, name: str) -> Node:
        return next(node for node in self.node if node.name == name)

    def find_network(self, name: str) -> Network:
        return next(network for network in self.network if network.name == name)

    def links_that_fail(self) -> list[Link]:
        """The links that some failure cuts."""
        named = {end for fail in self.fail for end in fail.links}
        nodes = {fail.node for fail in self.fail if fail.what is FailureKind.SITE}
        return [
            link for link in self.link if any(end in named or end.partition(".")[0] in nodes for end in link.between)
        ]

    def daemon_configuration(self, node: Node) -> dict[str, Any]:
        """What the file says of a node's daemon: its own keys over the common ones of its role. Empty: no daemon."""
        return _over(self.common.get(node.role, {}), node.config) if node.config else {}

    def addresses(self, end: str) -> list[str]:
        node, _, interface = end.partition(".")
        return self.find_node(node).interfaces[interface]

    def families(self, network: Network) -> list[str]:
        """The address families of the members of a network."""
        addresses = [address for end in network.members for address in self.addresses(end)]
        versions = {ipaddress.ip_interface(address).version for address in addresses}
        return [f"IPv{version}" for version in (6, 4) if version in versions]

    def home_network(self, node: Node) -> str | None:
        """The network in which a mobile node is at home: the one whose members have its home prefix."""
        home_address = node.home_address()
        if home_address is None:
            return None
        wanted = ipaddress.ip_address(home_address)
        for network in self.network:
            for end in network.members:
                if any(wanted in ipaddress.ip_interface(address).network for address in self.addresses(end)):
                    return network.name
        return None


def _over(common: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Two tables as one: where both have a table, those two as one; else what ``own`` has goes."""
    both = {
        key: _over(common[key], own[key])
        for key in common.keys() & own.keys()
        if isinstance(common[key], dict) and isinstance(own[key], dict)
    }
    return {**common, **own, **both}
