"""The home agent on a real home link: duplicate address detection before a home address is defended, its defence by
proxy neighbour discovery (RFC 6275 section 10.4.1) and the router advertisements of section 7.

Answering solicitations for a defended address is the host's (``DefendAddress``), so that it goes on without the daemon.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from unwired.core.door import (
    AddressAdded,
    AddressRemoved,
    DefendAddress,
    Event,
    JoinGroup,
    LeaveGroup,
    LinkUp,
    Now,
    ReleaseAddress,
)
from unwired.core.notices import Drop, Level
from unwired.core.outbox import Outbox
from unwired.core.settings import HomeAgentSettings
from unwired.core.timers import Agenda
from unwired.wire.address import (
    ALL_NODES,
    ALL_ROUTERS,
    UNSPECIFIED,
    Address,
    in_prefix,
    is_ipv4,
    is_link_local,
    solicited_node,
)
from unwired.wire.icmpv6 import NeighborAdvertisement, NeighborSolicitation, RouterAdvertisement, RouterSolicitation
from unwired.wire.ipv6 import Packet
from unwired.wire.nd_options import (
    AdvertisementInterval,
    HomeAgentInformation,
    NdOption,
    PrefixInformation,
    SourceLinkLayerAddress,
    TargetLinkLayerAddress,
    UnknownNdOption,
)

RETRANSMISSION_TIMER_S = 1.0
"""RetransTimer: how long a solicitation is waited for (RFC 4861 section 10); DupAddrDetectTransmits is 1."""
MAX_NEIGHBOR_ADVERTISEMENT = 3
HOME_AGENT_LIFETIME_MIN_S = 1800
"""Home Agent Lifetime: longer than the router lifetime, because moving nodes want short advertisement intervals and a
home agent that is restarted is still one; with very long intervals it is the router lifetime."""
MIN_DELAY_BETWEEN_RAS_S = 0.03
HOP_LIMIT = 255
_NONCE_OPTION = 14
_NONCE_SIZE = 6


def link_local_of(home_address: Address) -> Address:
    """The link-local address with the same interface identifier (RFC 6275 section 10.3.1, L=1)."""
    return bytes.fromhex("fe80000000000000") + home_address[8:]


@dataclass(slots=True)
class _Detection:
    """One home address being tested; ``addresses`` has its link-local address too if that is to be defended."""

    home_address: Address
    addresses: tuple[Address, ...]
    nonces: tuple[bytes, ...]


class HomeLink:
    """``unique`` and ``duplicate`` are called with the home address and the time when a detection ends."""

    def __init__(
        self, settings: HomeAgentSettings, outbox: Outbox, agenda: Agenda, entropy: Callable[[int], bytes]
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._agenda = agenda
        self._entropy = entropy
        self._link_layer_address = settings.home_interface_link_layer_address
        self._link_local_address = settings.home_interface_link_local_address
        self._detections: dict[Address, _Detection] = {}
        self._tested: dict[Address, _Detection] = {}
        self._groups: Counter[Address] = Counter()
        self._defended: set[Address] = set()
        self._advertised_at = float("-inf")
        self._running = False
        self.unique: Callable[[Address, Now], None] = lambda address, now: None
        self.duplicate: Callable[[Address, Now], None] = lambda address, now: None

    @property
    def is_real(self) -> bool:
        return self._settings.home_interface != 0

    @property
    def link_local_address(self) -> Address:
        return self._link_local_address

    @property
    def detections(self) -> int:
        """How many home addresses are being tested."""
        return len(self._detections)

    # --- coming and going ---

    def start(self, now: Now) -> None:
        if not self.is_real:
            return
        self._running = True
        # Solicitations go to all routers, advertisements of the other home agents to all nodes.
        for group in (ALL_ROUTERS, ALL_NODES):
            self._join(group)
        self._advertise_periodically(now)

    def stop(self, now: Now) -> None:
        if not self.is_real:
            return
        self._running = False
        for detection in list(self._detections.values()):
            self.abandon(detection.home_address)
        for address in sorted(self._defended):
            self._outbox.actions.append(ReleaseAddress(address, self._settings.home_interface))
        self._defended.clear()
        if self._link_local_address != UNSPECIFIED:
            # Zero lifetime and no home agent bit: hosts and the other home agents forget us (RFC 4861 section 6.2.5).
            self._send_advertisement(ALL_NODES, now, leaving=True)
        for group in (ALL_ROUTERS, ALL_NODES):
            self._leave(group)

    def handle(self, event: Event, now: Now) -> None:
        """Learn the home link's own addresses, which may come or change after the start."""
        if isinstance(event, LinkUp) and event.interface == self._settings.home_interface:
            self._link_layer_address = event.link_layer_address
            if self._running and self._link_local_address != UNSPECIFIED:
                self._send_advertisement(ALL_NODES, now)
        elif (
            isinstance(event, AddressAdded)
            and event.interface == self._settings.home_interface
            and is_link_local(event.address)
            and self._link_local_address == UNSPECIFIED
        ):
            self._link_local_address = event.address
            if self._running:
                self._send_advertisement(ALL_NODES, now)
        elif (
            isinstance(event, AddressRemoved)
            and event.interface == self._settings.home_interface
            and event.address == self._link_local_address
        ):
            self._link_local_address = UNSPECIFIED  # silent until another one comes

    def _join(self, group: Address) -> None:
        """Addresses that end alike share a solicited-node group: it is joined once and left with the last."""
        self._groups[group] += 1
        if self._groups[group] == 1:
            self._outbox.actions.append(JoinGroup(self._settings.home_interface, group))

    def _leave(self, group: Address) -> None:
        self._groups[group] -= 1
        if not self._groups[group]:
            del self._groups[group]
            self._outbox.actions.append(LeaveGroup(self._settings.home_interface, group))

    # --- duplicate address detection (RFC 4862 section 5.4) ---

    def detect(self, home_address: Address, with_link_local: bool, now: Now) -> None:
        """Ask the home link whether somebody has this address; answered by ``unique`` or ``duplicate``."""
        addresses = (home_address, link_local_of(home_address)) if with_link_local else (home_address,)
        nonces = tuple(self._entropy(_NONCE_SIZE) for _ in addresses)
        detection = _Detection(home_address, addresses, nonces)
        for address in addresses:
            # Nobody answers us for what is our own or what we defend for another mobile node.
            if address == self._link_local_address or address in self._defended or address in self._tested:
                self._is_duplicate(detection, address, now)
                return
        self._detections[home_address] = detection
        interface = self._settings.home_interface
        for address, nonce in zip(addresses, nonces, strict=True):
            self._tested[address] = detection
            group = solicited_node(address)
            self._join(group)
            # The nonce (RFC 7527) tells our own solicitation, looped back by the link, from another node's.
            solicitation = NeighborSolicitation(address, (UnknownNdOption(_NONCE_OPTION, nonce),))
            self._outbox.send(Packet(UNSPECIFIED, group, solicitation, hop_limit=HOP_LIMIT), interface)
        self._agenda.at(now.monotonic + RETRANSMISSION_TIMER_S, self._heard_nobody, detection)

    def abandon(self, home_address: Address) -> None:
        """Stop a detection without a result."""
        detection = self._detections.pop(home_address, None)
        if detection is None:
            return
        for address in detection.addresses:
            self._tested.pop(address, None)
            self._leave(solicited_node(address))

    def _heard_nobody(self, detection: _Detection, now: Now) -> None:
        if self._detections.get(detection.home_address) is detection:
            self.abandon(detection.home_address)
            self.unique(detection.home_address, now)

    def neighbor_solicitation(self, packet: Packet, message: NeighborSolicitation, now: Now) -> None:
        """Somebody else testing an address that we are testing too has as much right to it: a duplicate."""
        detection = self._tested.get(message.target)
        if detection is None or packet.source != UNSPECIFIED:
            return
        for option in message.options:
            if type(option) is UnknownNdOption and option.type == _NONCE_OPTION and option.data in detection.nonces:
                return
        self._is_duplicate(detection, message.target, now)

    def neighbor_advertisement(self, packet: Packet, message: NeighborAdvertisement, now: Now) -> None:
        detection = self._tested.get(message.target)
        if detection is not None:
            self._is_duplicate(detection, message.target, now)

    def _is_duplicate(self, detection: _Detection, address: Address, now: Now) -> None:
        self._outbox.notify(
            "duplicate_home_address",
            Level.WARNING,
            detection.home_address,
            link_local=address != detection.home_address,
        )
        self.abandon(detection.home_address)
        self.duplicate(detection.home_address, now)

    # --- defence (RFC 6275 section 10.4.1) ---

    def defend(self, address: Address, now: Now, times: int = MAX_NEIGHBOR_ADVERTISEMENT) -> None:
        """Answer for an address from now on and tell the whole link so, that many times."""
        if not self.is_real:
            return
        if address not in self._defended:
            self._defended.add(address)
            self._outbox.actions.append(DefendAddress(address, self._settings.home_interface))
        if not is_ipv4(address):  # the host tells the link by ARP
            self._claim(address, times, now)

    def release(self, address: Address) -> None:
        if address in self._defended:
            self._defended.discard(address)
            self._outbox.actions.append(ReleaseAddress(address, self._settings.home_interface))

    def _claim(self, address: Address, times: int, now: Now) -> None:
        if address not in self._defended:
            return
        advertisement = NeighborAdvertisement(
            address, router=False, solicited=False, override=True, options=self._target_link_layer_address()
        )
        source = self._link_local_address if is_link_local(address) else self._settings.address
        if source != UNSPECIFIED:
            packet = Packet(source, ALL_NODES, advertisement, hop_limit=HOP_LIMIT)
            self._outbox.send(packet, self._settings.home_interface)
        if times > 1:
            self._agenda.at(now.monotonic + RETRANSMISSION_TIMER_S, self._claim, address, times - 1)

    def _target_link_layer_address(self) -> tuple[NdOption, ...]:
        return (TargetLinkLayerAddress(self._link_layer_address),) if self._link_layer_address else ()

    # --- router advertisements (RFC 6275 section 7, RFC 4861 section 6.2) ---

    def router_solicitation(self, packet: Packet, message: RouterSolicitation, now: Now) -> None:
        """Answered at once and to the sender alone: a returning mobile node waits for it. Without a source address to
        answer to, all nodes hear it, no more often than the least interval."""
        if packet.source != UNSPECIFIED:
            self._send_advertisement(packet.source, now)
        elif any(type(option) is SourceLinkLayerAddress for option in message.options):
            self._outbox.drop(Drop.FORGED_SOURCE)  # RFC 4861 section 6.1.1
        elif now.monotonic - self._advertised_at >= max(
            MIN_DELAY_BETWEEN_RAS_S, self._settings.advertisement_interval_min_s
        ):
            self._send_advertisement(ALL_NODES, now)

    def _advertise_periodically(self, now: Now) -> None:
        if not self._running:
            return
        self._send_advertisement(ALL_NODES, now)
        settings = self._settings
        low, high = settings.advertisement_interval_min_s, settings.advertisement_interval_max_s
        interval = low + (high - low) * int.from_bytes(self._entropy(2)) / 65535
        self._agenda.at(now.monotonic + max(MIN_DELAY_BETWEEN_RAS_S, interval), self._advertise_periodically)

    def _send_advertisement(self, destination: Address, now: Now, leaving: bool = False) -> None:
        if self._link_local_address == UNSPECIFIED:
            return  # a router advertisement needs a link-local source (RFC 4861 section 4.2)
        if destination == ALL_NODES:
            self._advertised_at = now.monotonic
        advertisement = self.advertisement(leaving)
        packet = Packet(self._link_local_address, destination, advertisement, hop_limit=HOP_LIMIT)
        self._outbox.send(packet, self._settings.home_interface)
        self._outbox.counters["router_advertisements_sent"] += 1

    def advertisement(self, leaving: bool = False) -> RouterAdvertisement:
        """Our router advertisement with the prefixes, our global address (R) and the home agent's options."""
        settings = self._settings
        options: list[NdOption] = []
        if self._link_layer_address:
            options.append(SourceLinkLayerAddress(self._link_layer_address))
        options += prefix_options(settings)
        options.append(AdvertisementInterval(round(settings.advertisement_interval_max_s * 1000)))
        # AdvDefaultLifetime is three times the longest interval, and at least one second (RFC 6275 section 7.5).
        lifetime_s = 0 if leaving else min(9000, max(1, round(3 * settings.advertisement_interval_max_s)))
        if not leaving:
            options.append(HomeAgentInformation(settings.preference, max(HOME_AGENT_LIFETIME_MIN_S, lifetime_s)))
        return RouterAdvertisement(
            hop_limit=64, home_agent=not leaving, router_lifetime_s=lifetime_s, options=tuple(options)
        )


def prefix_options(settings: HomeAgentSettings) -> list[PrefixInformation]:
    """The home link's prefixes; the one that our address is in carries the whole address (R, RFC 6275 section 7.2)."""
    options = []
    for prefix in settings.home_prefixes:
        ours = in_prefix(settings.address, prefix.prefix, prefix.length)
        options.append(
            PrefixInformation(
                settings.address if ours else prefix.prefix,
                prefix.length,
                on_link=True,
                autonomous=True,
                router_address=ours,
                valid_lifetime_s=prefix.valid_lifetime_s,
                preferred_lifetime_s=prefix.preferred_lifetime_s,
            )
        )
    return options
