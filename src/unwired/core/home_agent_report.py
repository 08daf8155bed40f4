"""What a home agent tells people about itself: numbers, bindings, and why a packet goes where it goes.

Addresses are text here and times are seconds since 1970; everything is ready for JSON.
"""

from collections.abc import Iterator
from typing import Any

from unwired.core.binding_cache import Binding, BindingCache
from unwired.core.binding_states import State
from unwired.core.discovery import Discovery
from unwired.core.door import Now
from unwired.core.durability import Safekeeping
from unwired.core.home_agent_set import HomeAgentSet
from unwired.core.home_link import HomeLink
from unwired.core.intercept import Interception
from unwired.core.ipv4_assignment import Ipv4Assignments
from unwired.core.ipv4_pool import Ipv4Pool
from unwired.core.outbox import Outbox
from unwired.core.roster import Roster
from unwired.core.settings import HomeAgentSettings
from unwired.core.subscribers import SubscriberLookup
from unwired.wire.address import Address, format_address, format_prefix, home_agents_anycast, in_prefix, is_ipv4
from unwired.wire.rfc4285 import wall_time
from unwired.wire.rfc6275 import LIFETIME_UNIT_S

_NAMED_MAX = 10
"""Mobile nodes that are named of those behind one NAT."""


def _wall(monotonic: float, now: Now) -> float:
    return round(monotonic - now.monotonic + now.wall, 3)


def _left(until: float, now: Now) -> str:
    return f"{max(0, round(until - now.monotonic))} s"


def status(
    settings: HomeAgentSettings,
    cache: BindingCache,
    home_link: HomeLink,
    discovery: Discovery,
    outbox: Outbox,
    safekeeping: Safekeeping,
    assignments: Ipv4Assignments,
    members: HomeAgentSet | None,
    now: Now,
) -> dict[str, Any]:
    """The role in numbers."""
    states = {state.name.lower(): 0 for state in State if state != State.ABSENT}
    for binding in cache:
        states[binding.state.name.lower()] += 1
    return {
        "role": "home_agent",
        "address": format_address(settings.address),
        "home_prefixes": [f"{format_address(prefix.prefix)}/{prefix.length}" for prefix in settings.home_prefixes],
        "address_ipv4": _optional(settings.address_ipv4),
        "home_prefixes_ipv4": [format_prefix(*prefix) for prefix in settings.home_prefixes_ipv4],
        "pool_ipv4": _pool(assignments.addresses),
        "mobile_prefix_pool_ipv4": _pool(assignments.prefixes),
        "home_link": "real" if home_link.is_real else "virtual",
        "authentication": "insecure" if settings.insecure else "required",
        "bindings": states["bound"],
        "bindings_max": settings.bindings_max,
        "entries": states,
        "duplicate_address_detections": home_link.detections,
        "acknowledgements_waiting_for_journal": safekeeping.waiting_for_journal(),
        "home_agent_set": None if members is None else _set_status(settings, safekeeping, members, now),
        "other_home_agents": [
            {
                "link_local_address": format_address(entry.link_local_address),
                "preference": entry.preference,
                "addresses": [format_address(address) for address in entry.addresses],
                "ends_at": _wall(entry.ends_at, now),
            }
            for entry in discovery.home_agents.current(now.monotonic)
        ],
        "counters": dict(sorted(outbox.counters.items())),
        "drops": {reason.value: count for reason, count in sorted(outbox.drops.items())},
    }


def _pool(pool: Ipv4Pool) -> dict[str, int]:
    """``ours``: of how many addresses this member gives; ``unbound``: of those given, how many blocks are in no
    binding."""
    return {"addresses": pool.size, "ours": pool.size_of_ours, "given": pool.given, "unbound": len(pool.unbound)}


def _set_status(
    settings: HomeAgentSettings, safekeeping: Safekeeping, members: HomeAgentSet, now: Now
) -> dict[str, Any] | None:
    configured = settings.home_agent_set
    if configured is None:
        return None
    return {
        "member": configured.self.name,
        "group_id": configured.group_id,
        "durability": configured.durability.value,
        "current": members.is_current,
        "acknowledgements_waiting_for_members": safekeeping.waiting_for_members(),
        "members": members.members_report(now),
    }


def bindings(
    cache: BindingCache, roster: Roster, subscribers: SubscriberLookup, interception: Interception, now: Now
) -> Iterator[dict[str, Any]]:
    """The bound entries by home address. There may be very many, and each is looked at only when it is asked for."""
    for binding in sorted((one for one in cache if one.state == State.BOUND), key=lambda one: one.home_address):
        if binding.state == State.BOUND:
            yield _binding(binding, roster, subscribers, interception, now)


def _binding(
    binding: Binding, roster: Roster, subscribers: SubscriberLookup, interception: Interception, now: Now
) -> dict[str, Any]:
    subscriber = subscribers.by_home_address(binding.home_address)
    return {
        "home_address": format_address(binding.home_address),
        "care_of_address": format_address(binding.care_of_address),
        "identifier": None if subscriber is None else subscriber.identifier.decode(errors="replace"),
        "state": binding.state.name.lower(),
        "lifetime_s": binding.lifetime_units * LIFETIME_UNIT_S,
        "ends_at": _wall(binding.ends_at, now),
        "sequence": binding.sequence,
        "timestamp": round(wall_time(binding.timestamp), 6) if binding.timestamp else None,
        "primary": roster.names[binding.primary] or None,
        "primary_address": format_address(roster.addresses[binding.primary]),
        "version": binding.version,
        "switched": binding.switched,
        "tunnel": binding.tunnel,
        "tunnel_mtu": interception.tunnel_mtu(binding) or None,
        "encapsulation": binding.encapsulation.name.lower(),
        "care_of_port": binding.care_of_port or None,
        "nat": binding.is_behind_nat,
        "private_care_of_address": format_address(binding.own_care_of_address) if binding.is_behind_nat else None,
        "home_address_ipv4": _optional(binding.home_address_ipv4),
        "mobile_prefix_ipv4": None if binding.mobile_prefix is None else format_prefix(*binding.mobile_prefix),
        "previous_care_of_addresses": [format_address(address) for address, _, _ in binding.previous],
    }


def _optional(address: Address | None) -> str | None:
    return None if address is None else format_address(address)


def explain(
    address: Address,
    settings: HomeAgentSettings,
    roster: Roster,
    cache: BindingCache,
    subscribers: SubscriberLookup,
    home_link: HomeLink,
    interception: Interception,
    assignments: Ipv4Assignments,
    members: HomeAgentSet | None,
    now: Now,
) -> list[str]:
    """Sentences about one address, the decisive one first."""
    text = format_address(address)
    if address == settings.address_ipv4:
        whose = "this home agent's IPv4 address" if members is None else "the IPv4 address that all members have"
        return [
            f"{text} is {whose}.",
            "Mobile nodes in IPv4 networks send their binding updates here, and their tunnels end here.",
        ]
    if address == settings.address:
        return [
            f"{text} is this home agent's own address.",
            "Mobility messages and tunnels that arrive for it are handled here.",
        ]
    if members is not None:
        for number in roster.numbers:
            if address in (roster.addresses[number], roster.locators[number]):
                return _explain_member(text, number, roster, members)
    for prefix in settings.home_prefixes:
        if address == home_agents_anycast(prefix.prefix, prefix.length):
            return [f"{text} is the home agents' anycast address: home agent address discovery is answered here."]
    binding = cache.of(address)
    if binding is not None:
        return _explain_binding(text, binding, roster, home_link, interception, members, now)
    there = [one for one in cache if one.state == State.BOUND and one.care_of_address == address]
    if there:
        nodes = ", ".join(format_address(one.home_address) for one in there[:_NAMED_MAX])
        if len(there) > _NAMED_MAX:
            nodes += f" and {len(there) - _NAMED_MAX} more"
        plural = "addresses" if len(there) > 1 else "address"
        return [
            f"{text} is the care-of address of {nodes}.",
            f"Packets to it are routed as any other; packets in a tunnel from it are accepted from that home {plural}.",
        ]
    if is_ipv4(address):
        return _explain_ipv4(text, address, subscribers, assignments)
    return _explain_unbound(text, address, settings, subscribers, home_link)


def _explain_binding(
    text: str,
    binding: Binding,
    roster: Roster,
    home_link: HomeLink,
    interception: Interception,
    members: HomeAgentSet | None,
    now: Now,
) -> list[str]:
    care_of_address = _place(binding.care_of_address, binding.care_of_port)
    left = _left(binding.ends_at, now)
    if binding.state == State.DETECTING:
        return [f"{text} is being tested on the home link for duplicates; its mobile node waits for the result."]
    if binding.state == State.DELETED:
        return [
            f"{text} was de-registered: packets to it go out on the home link like any other.",
            f"Its last sequence number {binding.sequence} is kept for another {left} against delayed binding updates.",
        ]
    if binding.state == State.REMEMBERED:
        return [
            f"{text} has no binding; the time of its last binding update is kept for another {left} against replay."
        ]
    lines = [
        f"{text} is bound to care-of address {care_of_address} for another {left} (lifetime "
        f"{binding.lifetime_units * LIFETIME_UNIT_S} s, sequence number {binding.sequence}).",
        f"Packets to it go into tunnel {binding.tunnel} from {format_address(interception.tunnel_local(binding))} to "
        f"{care_of_address}.",
        f"Packets from it are accepted in a tunnel from {care_of_address} only.",
    ]
    if binding.is_behind_nat:
        own = format_address(binding.own_care_of_address)
        lines.append(f"There is a NAT on the way: its mobile node itself has the care-of address {own}.")
    if text != format_address(binding.home_address):
        lines.append(f"It is in the binding of {format_address(binding.home_address)}.")
    elif binding.home_address_ipv4 is not None:
        lines.append(f"The IPv4 home address {format_address(binding.home_address_ipv4)} is in the same binding.")
    if binding.mobile_prefix is not None:
        lines.append(f"The prefix {format_prefix(*binding.mobile_prefix)} moves with it.")
    if members is not None and binding.primary != roster.own:
        name = roster.names[binding.primary]
        lines[1:2] = (
            [f"Its primary home agent is {name}: packets to it go there, and from there to {care_of_address}."]
            if members.is_up(binding.primary)
            else [f"Its primary home agent {name} is not up: we take its place.", lines[1]]
        )
    for previous, port, until in binding.previous:
        lines.append(
            f"They are also accepted from the previous care-of address {_place(previous, port)} for "
            f"another {_left(until, now)}."
        )
    mtu = interception.tunnel_mtu(binding)
    if mtu:
        lines.append(f"The path was found to carry packets of at most {mtu} bytes in this tunnel.")
    if home_link.is_real:
        lines.append("On the home link this home agent answers neighbour solicitations for it.")
    return lines


def _place(care_of_address: Address, port: int) -> str:
    return f"{format_address(care_of_address)} (UDP port {port})" if port else format_address(care_of_address)


def _explain_ipv4(
    text: str, address: Address, subscribers: SubscriberLookup, assignments: Ipv4Assignments
) -> list[str]:
    owner = assignments.owner(address)
    if owner is None:
        where = "of an IPv4 home prefix but nobody's" if assignments.is_home_address(address) else "in no home prefix"
        return [f"{text} is {where}: this home agent does nothing with packets to it."]
    subscriber = subscribers.by_home_address(owner)
    name = "" if subscriber is None else f" ({subscriber.identifier.decode(errors='replace')})"
    return [
        f"{text} is kept for the mobile node with home address {format_address(owner)}{name}.",
        "It is in no binding now: packets to it find nobody.",
    ]


def _explain_member(text: str, number: int, roster: Roster, members: HomeAgentSet) -> list[str]:
    if number == roster.own:
        return [f"{text} is this home agent's locator.", "Tunnels from the other members of the set end here."]
    which = "home agent address" if text == format_address(roster.addresses[number]) else "locator"
    name = roster.names[number]
    lines = [f"{text} is the {which} of member {name} of the home agent set."]
    if members.is_up(number):
        lines.append("What comes here for its home agent address goes on to it.")
    else:
        lines.append("It is not up: what comes here for its home agent address is handled here.")
    return lines


def _explain_unbound(
    text: str,
    address: Address,
    settings: HomeAgentSettings,
    subscribers: SubscriberLookup,
    home_link: HomeLink,
) -> list[str]:
    subscriber = subscribers.by_home_address(address)
    prefix = next((one for one in settings.home_prefixes if in_prefix(address, one.prefix, one.length)), None)
    if subscriber is None:
        where = (
            "is in none of the home prefixes"
            if prefix is None
            else f"is in home prefix {format_address(prefix.prefix)}/{prefix.length} but belongs to no subscriber"
        )
        return [f"{text} {where}: this home agent does nothing with packets to it."]
    name = subscriber.identifier.decode(errors="replace")
    link = "go out on the home link" if home_link.is_real else "find nobody: the home link is virtual"
    return [
        f"{text} is the home address of {name}, which is not registered.",
        f"Packets to it {link}.",
    ]
