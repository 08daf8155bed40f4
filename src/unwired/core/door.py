"""The engine's door: how the world talks to an engine and what an engine asks of the world.

Every role is an engine with the same few verbs, so one loop drives them all: the daemon's, the simulator's and the
tests'. An engine never does anything itself: it takes packets, events and the time, and leaves actions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from unwired.core.forwarding import ForwardingAction
from unwired.core.global_binding import GlobalBinding
from unwired.core.notices import Notice
from unwired.wire.address import Address
from unwired.wire.ipv6 import Packet


class Now(NamedTuple):
    """One reading of both clocks, in seconds.

    Timers use ``monotonic``; authentication timestamps and the journal use ``wall`` (seconds since 1970).
    """

    monotonic: float
    wall: float


# --- events: what happened on the host -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LinkUp:
    """An interface has carrier: a (possibly new) link is usable."""

    interface: int
    name: str
    link_layer_address: bytes
    mtu: int = 1500


@dataclass(frozen=True, slots=True)
class LinkDown:
    interface: int


@dataclass(frozen=True, slots=True)
class AddressAdded:
    """The host has an address it may send from; ``optimistic``: not proven unique yet, but usable (RFC 4429). The
    prefix length of an IPv4 address is that of its v4-mapped form: 96 and more."""

    interface: int
    address: Address
    prefix_length: int
    optimistic: bool = False


@dataclass(frozen=True, slots=True)
class AddressRemoved:
    interface: int
    address: Address


@dataclass(frozen=True, slots=True)
class RouterAdded:
    """The host has an IPv4 default route by this router on an interface, from DHCP or however it is configured; a
    second one on the same interface takes the place of the first. UNSPECIFIED_IPV4: on a point-to-point link. (IPv6
    routers make themselves known by router advertisements.)"""

    interface: int
    router: Address


@dataclass(frozen=True, slots=True)
class RouterRemoved:
    interface: int
    router: Address


@dataclass(frozen=True, slots=True)
class TunnelCounted:
    """The answer to ``CountTunnel``: packets that the tunnel has carried so far, both only grow."""

    number: int
    packets_sent: int
    packets_received: int


@dataclass(frozen=True, slots=True)
class NatProbed:
    """The answer to ``ProbeNat`` has come through the NAT."""

    token: int


@dataclass(frozen=True, slots=True)
class Persisted:
    """Everything up to and including the ``Persist`` with this token will survive (see ``store/``)."""

    token: int


@dataclass(frozen=True, slots=True)
class ActionFailed:
    """An action could not be carried out; ``reason`` is for a person."""

    action: "Action"
    reason: str


@dataclass(frozen=True, slots=True)
class BindingsReceived:
    """Records from another member of the set; answered by ``BindingsKept`` with this ``position`` when they are durable
    here, and all that was here before with them: a carrier may ask for that alone, without records. ``member``: by
    which member they came, which need not be the primary of each."""

    member: int
    position: int
    records: tuple[GlobalBinding, ...]


@dataclass(frozen=True, slots=True)
class BindingsHeld:
    """This member durably holds everything up to and including the ``Publish`` with this token, or what came later in
    its place; but for the records of the home addresses that it has ``refused``."""

    member: int
    token: int
    refused: frozenset[Address] = frozenset()


@dataclass(frozen=True, slots=True)
class SetCurrent:
    """Every record that the reachable members had when we joined has been delivered. ``alone``: none was reachable."""

    alone: bool = False


@dataclass(frozen=True, slots=True)
class KeyShared:
    """A member's key for its HELLO datagrams from now on, by a way that proves who it is."""

    member: int
    epoch: int
    key: bytes


@dataclass(frozen=True, slots=True)
class HelloReceived:
    """A datagram on the HELLO port, whoever sent it, from ``source`` to our locator."""

    source: Address
    data: bytes


@dataclass(frozen=True, slots=True)
class Health:
    """Whether this host can serve as home agent: its devices, maps and programs are in place; ``reason`` else."""

    serving: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Drain:
    """The operator wants this member to leave the set gracefully."""


Event = (
    LinkUp
    | LinkDown
    | AddressAdded
    | AddressRemoved
    | RouterAdded
    | RouterRemoved
    | TunnelCounted
    | NatProbed
    | Persisted
    | ActionFailed
    | BindingsReceived
    | BindingsHeld
    | SetCurrent
    | KeyShared
    | HelloReceived
    | Health
    | Drain
)

# --- actions: what the world must now do, in order -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """Send a control packet; ``interface`` 0 leaves the choice to routing."""

    packet: Packet
    interface: int = 0


@dataclass(frozen=True, slots=True)
class Persist:
    """Keep ``record`` under ``key`` (None: forget it); answered by ``Persisted(token)``. Tokens only grow."""

    token: int
    key: bytes
    record: bytes | None


@dataclass(frozen=True, slots=True)
class DefendAddress:
    """Answer for a mobile node's home address on the home link: proxy neighbour discovery (RFC 6275 section 10.4.1), or
    ARP where it is IPv4 (RFC 5555 section 4.5), and route it into the tunnel device."""

    address: Address
    interface: int


@dataclass(frozen=True, slots=True)
class ReleaseAddress:
    address: Address
    interface: int


@dataclass(frozen=True, slots=True)
class JoinGroup:
    """Receive this multicast group's neighbour discovery on an interface."""

    interface: int
    group: Address


@dataclass(frozen=True, slots=True)
class LeaveGroup:
    interface: int
    group: Address


@dataclass(frozen=True, slots=True)
class HoldHomeAddress:
    """Mobile node: the host owns this home address, of either family, on the tunnel device until it is dropped."""

    address: Address


@dataclass(frozen=True, slots=True)
class DropHomeAddress:
    address: Address


@dataclass(frozen=True, slots=True)
class HoldMobilePrefix:
    """Mobile router: what comes from this prefix goes into the tunnel device (RFC 3963 section 6.2)."""

    prefix: Address
    length: int


@dataclass(frozen=True, slots=True)
class DropMobilePrefix:
    prefix: Address
    length: int


@dataclass(frozen=True, slots=True)
class CountTunnel:
    """How much has this tunnel carried? Answered by ``TunnelCounted``."""

    number: int


@dataclass(frozen=True, slots=True)
class ProbeNat:
    """Mobile node: open a fresh mapping of the NAT from ``care_of_address`` to the home agent at ``peer`` (both IPv4),
    by a UDP port of its own, and ask the home agent to send one packet back after ``delay_s`` seconds, during which
    nothing else uses the mapping (``wire/nat_probe.py``). Answered by ``NatProbed(token)``, or never; a later ProbeNat
    takes the place of the one before."""

    token: int
    care_of_address: Address
    peer: Address
    delay_s: int


@dataclass(frozen=True, slots=True)
class UseCareOfAddress:
    """Mobile node: packets from this address leave by ``interface`` through ``router`` (a link-local address; of an
    IPv4 care-of address the router's IPv4 address, UNSPECIFIED_IPV4 on a point-to-point link)."""

    care_of_address: Address
    interface: int
    router: Address


@dataclass(frozen=True, slots=True)
class ForgetCareOfAddress:
    care_of_address: Address


@dataclass(frozen=True, slots=True)
class GoAway:
    """Mobile node: traffic from the home address goes into the tunnel device, which answers for it alone."""

    address: Address


@dataclass(frozen=True, slots=True)
class GoHome:
    """Mobile node: the home address answers on the home link (without duplicate address detection: RFC 6275 section
    11.5.5) and its traffic goes by ``router``, a link-local address, to where the link does not reach."""

    address: Address
    prefix_length: int
    interface: int
    router: Address


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell whoever listens: logs, ``unwired events``, metrics."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class Publish:
    """Give ``record`` to every other member; answered by ``BindingsHeld`` of each. Tokens are those of ``Persist``."""

    token: int
    record: GlobalBinding


@dataclass(frozen=True, slots=True)
class BindingsKept:
    """What ``BindingsReceived`` brought from ``member`` up to ``position`` is durable here, but for the records of
    these home addresses, which were ``refused``."""

    member: int
    position: int
    refused: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class ShareKey:
    """Give every other member our key for HELLO datagrams, now and whenever one joins."""

    epoch: int
    key: bytes


@dataclass(frozen=True, slots=True)
class SendHello:
    """Send a datagram to a member's HELLO port."""

    locator: Address
    data: bytes


@dataclass(frozen=True, slots=True)
class Announce:
    """Have the home prefixes announced to the Internet's routing."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """No longer. ``graceful``: first make the announcement the least preferred one (RFC 8326), so that no packet is
    lost while others take over; with the reason for a person."""

    graceful: bool
    reason: str


@dataclass(frozen=True, slots=True)
class LeaveSet:
    """Draining is over: the daemon may stop."""


SetAction = Publish | BindingsKept | ShareKey | SendHello | Announce | Withdraw | LeaveSet
"""What a member of a home agent set asks of ``plane/``."""

HostAction = (
    DefendAddress
    | ReleaseAddress
    | JoinGroup
    | LeaveGroup
    | HoldHomeAddress
    | DropHomeAddress
    | HoldMobilePrefix
    | DropMobilePrefix
    | CountTunnel
    | ProbeNat
    | UseCareOfAddress
    | ForgetCareOfAddress
    | GoAway
    | GoHome
)
Action = Send | Persist | Notify | ForwardingAction | HostAction | SetAction


class Engine(Protocol):
    """What every role implements. ``receive``, ``handle`` and ``wake`` may each leave actions behind."""

    def start(self, now: Now) -> None:
        """Leave the first actions: listen on addresses, solicit, advertise."""

    def receive(self, packet: Packet, interface: int, now: Now, via: Address | None = None) -> None:
        """A control packet, decoded; ``interface`` is where it came in, 0 when not known; ``via`` is the locator of the
        member of our set that sent it on to us, None when it came by itself."""

    def handle(self, event: Event, now: Now) -> None:
        """Something happened on the host."""

    def deadline(self) -> float | None:
        """The monotonic time at which ``wake`` is wanted, or None."""

    def wake(self, now: Now) -> None:
        """The deadline has come (calling early is harmless)."""

    def actions(self) -> list[Action]:
        """The actions left since the last call, in order; each is given once."""

    def stop(self, now: Now) -> None:
        """Leave the actions that undo what ``start`` and the rest set up on this host."""

    def restore(self, records: Iterable[tuple[bytes, bytes]], now: Now) -> None:
        """Take up what the journal kept, before ``start``: (key, record) as they were given to ``Persist``."""
