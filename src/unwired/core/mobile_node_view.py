"""What a mobile node tells people: status, the binding update list, and why a packet goes where it goes."""

from typing import TYPE_CHECKING

from unwired.core.binding_update_list import BindingUpdateListEntry
from unwired.core.mobile_node_states import State
from unwired.core.places import AtHome, Away
from unwired.wire.address import Address, format_address, in_prefix

if TYPE_CHECKING:
    from unwired.core.mobile_node import MobileNode


def _text(address: Address | None) -> str | None:
    return None if address is None else format_address(address)


def _wall(node: "MobileNode", monotonic: float) -> float:
    """Seconds since 1970 of a monotonic time."""
    return round(node.machine.now.wall + monotonic - node.machine.now.monotonic, 3)


def status(node: "MobileNode") -> dict[str, object]:
    """JSON-ready; ``*_s`` are seconds, ``*_at`` seconds since 1970."""
    place, entry = node.machine.attachment, node.machine.entry
    return {
        "role": "mobile_node",
        "state": node.machine.state.value,
        "home_address": f"{format_address(node.settings.home_address)}/{node.settings.home_prefix_length}",
        "home_agent": _text(entry.home_agent),
        "home_agent_asked": _text(node.machine.candidate.home_agent) if node.machine.candidate is not None else None,
        "at_home": isinstance(place, AtHome),
        "care_of_address": _text(place.care_of_address) if isinstance(place, Away) else None,
        "interface": _name(node, place.interface) if place is not None else None,
        "registered": entry.bound is not None and entry.confirmed,
        "clock_offset_s": node.machine.registration.clock.offset_s,
        "interfaces": [
            {
                "name": link.name,
                "index": link.index,
                "up": link.up,
                "addresses": [format_address(address) for address in link.addresses],
                "routers": [
                    {
                        "address": format_address(router.link_local_address),
                        "state": router.doubt.value,
                        "prefixes": [
                            f"{format_address(known.prefix)}/{known.length}" for known in router.prefixes.values()
                        ],
                    }
                    for router in link.routers.values()
                ],
            }
            for link in sorted(node.movement.links.values(), key=lambda link: (link.rank, link.index))
            if link.name
        ],
        "counters": dict(node.counters),
        "drops": {reason.value: count for reason, count in node.drops.items()},
    }


def bindings(node: "MobileNode") -> list[dict[str, object]]:
    """The binding update list (RFC 6275 section 11.1), JSON-ready: our home agent, then the one that we would change
    to."""
    entries = (node.machine.entry, node.machine.candidate)
    return [_binding(node, entry) for entry in entries if entry is not None and entry.expires_at is not None]


def _binding(node: "MobileNode", entry: BindingUpdateListEntry) -> dict[str, object]:
    bound = entry.bound
    return {
        "home_address": format_address(node.settings.home_address),
        "home_agent": _text(entry.home_agent),
        "care_of_address": _text(entry.care_of_address),
        "acknowledged_care_of_address": _text(bound.care_of_address) if bound is not None else None,
        "acknowledged": entry.confirmed,
        "sequence": entry.sequence,
        "lifetime_s": bound.lifetime_s if bound is not None else None,
        "remaining_s": round(entry.remaining_s(node.machine.now.monotonic), 3),
        "expires_at": _wall(node, bound.expires_at) if bound is not None else None,
        "refresh_at": _wall(node, bound.refresh_at) if bound is not None else None,
        "outstanding": len(entry.outstanding),
    }


def explain(node: "MobileNode", address: Address) -> list[str]:
    """Sentences that say where a packet from the home address to ``address`` goes and why; for one of our own
    addresses, what it is."""
    settings, entry, place, tunnel = (
        node.settings,
        node.machine.entry,
        node.machine.attachment,
        node.machine.rows.tunnel,
    )
    home, target = format_address(settings.home_address), format_address(address)
    if address == settings.home_address:
        return [f"{target} is our home address.", *_where(node)]
    if address in node.machine.rows.used:
        current = isinstance(place, Away) and place.care_of_address == address
        kind = "the care-of address in use" if current else "a previous care-of address, still listened to"
        return [f"{target} is {kind}."]
    lines = [f"{target} is our home agent."] if address == entry.home_agent else []
    candidate = node.machine.candidate
    if candidate is not None and address == candidate.home_agent:
        lines.append(f"{target} is a home agent that is asked to serve us from now on.")
    if isinstance(place, AtHome) and node.machine.state is State.HOME:
        if in_prefix(address, settings.home_address, settings.home_prefix_length):
            return [*lines, f"We are at home: packets from {home} to {target} go out directly on the home link."]
        return [*lines, f"We are at home: packets from {home} to {target} are routed like any other."]
    if tunnel is None:
        return [*lines, f"Packets from {home} to {target} go nowhere: there is no tunnel.", *_where(node)]
    return [
        *lines,
        f"Packets from {home} to {target} go into the tunnel from {format_address(tunnel.local)} to the home agent "
        f"{format_address(tunnel.peer)}, which sends them on; answers come back the same way.",
        *_where(node),
    ]


_STATES: dict[State, str] = {
    State.OFF: "The mobile node is not running.",
    State.DETACHED: "No link is usable, and no home agent knows a care-of address of ours.",
    State.DISCOVERING: "We are away and asking for a home agent's address.",
    State.REGISTERING: "We are away and the home agent has not acknowledged our care-of address yet.",
    State.REGISTERED: "The home agent has acknowledged our care-of address.",
    State.HANDOVER: "We have moved; the home agent has not acknowledged the new care-of address yet.",
    State.REFRESHING: "The home agent has acknowledged our care-of address and is asked to renew it.",
    State.SWITCHING: "Our home agent serves us, and another one is asked to do so from now on.",
    State.REFUSED: "The home agent refused our registration; we wait before the next try.",
    State.STRANDED: "No link is usable at the moment; the home agent may still have a binding of ours.",
    State.RETURNING: "We are on the home link and wait for the home agent to let go of the home address.",
    State.HOME: "We are on the home link.",
}


def _where(node: "MobileNode") -> list[str]:
    lines = [_STATES[node.machine.state]]
    bound = node.machine.entry.bound
    if bound is not None:
        lines.append(
            f"It holds {format_address(bound.care_of_address)} for another "
            f"{node.machine.entry.remaining_s(node.machine.now.monotonic):.0f} s."
        )
    return lines


def _name(node: "MobileNode", interface: int) -> str:
    link = node.movement.links.get(interface)
    return link.name if link is not None else ""
