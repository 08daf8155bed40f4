"""Which binding updates a home agent takes: all that is checked before one changes anything, in the order of the RFCs.

1. What no answer may be given to: RFC 6275 sections 6.1.7 and 9.5.1.
2. Proof and freshness: RFC 4285 sections 5 and 6.
3. Whose home address it is, and the sequence number: RFC 6275 sections 10.3.1 and 9.5.1.
4. The home agent's own tests of a registration: section 10.3.1.
5. Whether UDP may be forced: RFC 5555 section 4.5.
"""

from typing import NamedTuple

from unwired.core.acknowledgement import Request
from unwired.core.authentication import corrected_timestamp, is_authentic, is_fresh
from unwired.core.binding_cache import Binding, BindingCache, is_newer
from unwired.core.binding_states import HAS_SEQUENCE, State
from unwired.core.door import Now
from unwired.core.home_link import HomeLink
from unwired.core.ipv4_assignment import Ipv4Assignments
from unwired.core.notices import Drop
from unwired.core.roster import Roster
from unwired.core.settings import HomeAgentSettings, SecurityAssociation, Subscriber
from unwired.core.subscribers import SubscriberLookup
from unwired.wire.address import UNSPECIFIED, Address, is_ipv4, is_multicast, is_unicast_routable
from unwired.wire.rfc6275 import LIFETIME_UNIT_S, BindingStatus

DETECTIONS_MAX = 4096
"""Home addresses tested at once; more are refused for lack of resources."""


class Refusal(NamedTuple):
    """An update to be answered with this status; ``sequence`` and ``timestamp`` in place of the update's own.
    ``reason`` is what people are told in place of the status's name."""

    status: BindingStatus
    sequence: int | None = None
    timestamp: int | None = None
    reason: str | None = None


FORCED_UDP_REFUSED = Refusal(BindingStatus.MIPV6_ID_MISMATCH, reason="forced_udp")
"""RFC 5555 section 4.5 wants 144, which IANA has as that of RFC 4285. A mobile node can tell: the timestamp that comes
back is its own and not corrected (docs/dual-stack.md)."""


class Admission:
    """Looks and does nothing. Finds the request's subscriber and security association on the way."""

    def __init__(
        self,
        settings: HomeAgentSettings,
        roster: Roster,
        subscribers: SubscriberLookup,
        cache: BindingCache,
        home_link: HomeLink,
        assignments: Ipv4Assignments,
    ) -> None:
        self._settings = settings
        self._assignments = assignments
        self._home_agents = frozenset(roster.addresses)
        self._ours = self._home_agents | frozenset(roster.locators)
        self._subscribers = subscribers
        self._cache = cache
        self._home_link = home_link
        # A prefix is compared as a number; valid and preferred lifetimes go down to units of 4 s (section 10.3.1).
        self._prefixes = [
            (
                128 - prefix.length,
                int.from_bytes(prefix.prefix) >> (128 - prefix.length),
                prefix.valid_lifetime_s // LIFETIME_UNIT_S,
                prefix.preferred_lifetime_s // LIFETIME_UNIT_S,
            )
            for prefix in settings.home_prefixes
        ]
        self._lifetime_max_units = settings.lifetime_max_s // LIFETIME_UNIT_S

    def check(self, request: Request, binding: Binding | None, now: Now) -> Drop | Refusal | None:
        """Why an update is dropped or refused; None: it is to be carried out. ``binding`` is the cache's entry."""
        drop = self._reason_to_drop(request, binding)
        if drop is not None:
            return drop
        if request.association is not None:
            refusal = self._reason_not_to_believe(request, request.association, binding, now)
            if refusal is not None:
                return refusal
        update, home_address = request.update, request.home_address
        # The home address must be the one that the security association is for: it may be tried with another's key.
        if request.subscriber is None or request.subscriber.home_address != home_address:
            if self._prefix_of(home_address) is None:
                return Refusal(BindingStatus.NOT_HOME_SUBNET)
            return Refusal(BindingStatus.ADMINISTRATIVELY_PROHIBITED)
        if binding is not None and binding.state in HAS_SEQUENCE:
            if not update.home_registration:
                return Refusal(BindingStatus.REGISTRATION_TYPE_CHANGE_DISALLOWED)
            # A mobile node counts for each home agent apart: between two of them only the timestamp says what is newer.
            if request.member == binding.primary and not is_newer(update.sequence, binding.sequence):
                return Refusal(BindingStatus.SEQUENCE_NUMBER_OUT_OF_WINDOW, binding.sequence)
        if not update.home_registration:
            # Without the H bit this is route optimization, which a home agent does not take part in.
            return Drop.NOT_FOR_THIS_ROLE
        if update.lifetime_units:
            status = self._reason_to_refuse(request, binding)
            if status is not None:
                return Refusal(status)
            # Only where the update came in UDP is there a port to send to.
            if update.force_udp_encapsulation and not (request.is_in_udp and self._settings.allow_forced_udp):
                return FORCED_UDP_REFUSED
        return None

    def owner(self, home_address: Address) -> Subscriber | None:
        """The subscriber of a home address that this home agent may still serve, as the configuration is now."""
        return self._subscribers.by_home_address(home_address) if self.is_servable(home_address) else None

    def is_servable(self, home_address: Address) -> bool:
        """Whether an address can be a mobile node's at all: of a home prefix and no home agent's."""
        return self._prefix_of(home_address) is not None and home_address not in self._home_agents

    def grant(self, home_address: Address, requested_units: int) -> tuple[BindingStatus, int]:
        """Status and lifetime, in units of 4 s, for a registration (RFC 6275 section 10.3.1)."""
        valid_units, preferred_units = self._prefix_of(home_address) or (0, 0)
        units = min(requested_units, self._lifetime_max_units, valid_units)
        if preferred_units < units or valid_units == units:
            return BindingStatus.ACCEPTED_BUT_PREFIX_DISCOVERY_NECESSARY, units
        return BindingStatus.BINDING_UPDATE_ACCEPTED, units

    def _reason_to_drop(self, request: Request, binding: Binding | None) -> Drop | None:
        source, care_of_address = request.packet.source, request.care_of_address
        # What the cache has was checked when it came in: a refresh need not pay for it again.
        if binding is None and not is_unicast_routable(request.home_address):
            return Drop.FORGED_SOURCE
        if (binding is None or care_of_address != binding.care_of_address) and not is_unicast_routable(care_of_address):
            return Drop.FORGED_SOURCE
        if is_ipv4(care_of_address) is (request.outer is None):
            return Drop.FORGED_SOURCE
        if request.outer is not None and (
            source != request.home_address or not is_unicast_routable(request.signed_care_of_address)
        ):
            return Drop.FORGED_SOURCE
        if source != care_of_address and (is_multicast(source) or source == UNSPECIFIED):
            return Drop.FORGED_SOURCE
        if request.ambiguous:
            return Drop.AMBIGUOUS_OPTIONS
        if request.identifier is not None:
            request.subscriber = self._subscribers.by_identifier(request.identifier.identifier)
        else:
            request.subscriber = self._subscribers.by_home_address(request.home_address)
        if request.authentication is None:
            # Whoever shares a key with us must use it, whatever others may do (RFC 4285 section 5).
            has_key = request.subscriber is not None and bool(request.subscriber.associations)
            return Drop.NO_AUTHENTICATION if has_key or not self._settings.insecure else None
        request.association = _association(request.subscriber, request.authentication.spi)
        return Drop.NO_SECURITY_ASSOCIATION if request.association is None else None

    def _reason_not_to_believe(
        self, request: Request, association: SecurityAssociation, binding: Binding | None, now: Now
    ) -> Refusal | None:
        option, message_id = request.authentication, request.message_id
        if option is None or not is_authentic(
            option, request.packet.data, association, request.signed_care_of_address, request.home_address
        ):
            return Refusal(BindingStatus.MIPV6_AUTH_FAIL)
        if message_id is None:
            return Refusal(BindingStatus.MIPV6_MESG_ID_REQD)
        timestamp = message_id.timestamp
        last = binding.timestamp if binding is not None and binding.timestamp else None
        if not is_fresh(timestamp, last, now.wall, self._settings.timestamp_window_s):
            return Refusal(BindingStatus.MIPV6_ID_MISMATCH, timestamp=corrected_timestamp(timestamp, now.wall))
        return None

    def _reason_to_refuse(self, request: Request, binding: Binding | None) -> BindingStatus | None:
        home_address, care_of_address = request.home_address, request.care_of_address
        if request.packet.home_address is None and request.outer is None:
            # "A Home Address destination option MUST be present": from home there is nothing to tunnel to.
            return BindingStatus.REASON_UNSPECIFIED
        if binding is not None and binding.state == State.BOUND and care_of_address == binding.care_of_address:
            return None
        if self._prefix_of(home_address) is None:
            return BindingStatus.NOT_HOME_SUBNET
        if home_address in self._home_agents:
            return BindingStatus.ADMINISTRATIVELY_PROHIBITED
        if self.leads_back(care_of_address):
            return BindingStatus.INVALID_CARE_OF_ADDRESS
        if (binding is None or binding.state not in (State.BOUND, State.DETECTING)) and (
            self._cache.in_use >= self._settings.bindings_max or self._home_link.detections >= DETECTIONS_MAX
        ):
            return BindingStatus.INSUFFICIENT_RESOURCES
        return None

    def _prefix_of(self, home_address: Address) -> tuple[int, int] | None:
        """Valid and preferred lifetime, in units of 4 s, of the home prefix that an address is in."""
        number = int.from_bytes(home_address)
        for shift, prefix, valid_units, preferred_units in self._prefixes:
            if number >> shift == prefix and valid_units:
                return valid_units, preferred_units
        return None

    def leads_back(self, care_of_address: Address) -> bool:
        """Whether a tunnel to this address would end at a home agent or at a home address. What is sent to a home
        address is for a tunnel again, which may be the same; and on a virtual home link there is nothing else."""
        if is_ipv4(care_of_address):
            return (
                care_of_address == self._settings.address_ipv4
                or self._assignments.owner(care_of_address) is not None
                or self._cache.of(care_of_address) is not None
                or (not self._home_link.is_real and self._assignments.is_home_address(care_of_address))
            )
        if care_of_address in self._ours or self._subscribers.by_home_address(care_of_address) is not None:
            return True
        return not self._home_link.is_real and self._prefix_of(care_of_address) is not None


def _association(subscriber: Subscriber | None, spi: int) -> SecurityAssociation | None:
    if subscriber is not None:
        for association in subscriber.associations:
            if association.spi == spi:
                return association
    return None
