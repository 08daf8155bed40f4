"""What a mobile node tells people: status, the binding update list, and why a packet goes where it goes."""

from typing import TYPE_CHECKING

from unwired.core.binding_update_list import BindingUpdateListEntry
from unwired.core.forwarding import Encapsulation
from unwired.core.mobile_node_states import State
from unwired.core.places import AtHome, Away
from unwired.core.settings import Prefix
from unwired.wire.address import IPV4_BITS, Address, format_address, in_prefix, is_ipv4

if TYPE_CHECKING:
    from unwired.core.mobile_node import MobileNode


def _text(address: Address | None) -> str | None:
    return None if address is None else format_address(address)


def _wall(node: "MobileNode", monotonic: float) -> float:
    """Seconds since 1970 of a monotonic time."""
    return round(node.machine.now.wall + monotonic - node.machine.now.monotonic, 3)


def status(node: "MobileNode") -> dict[str, object]:
    """JSON-ready; ``*_s`` are seconds, ``*_at`` seconds since 1970."""
    place, entry, ipv4 = node.machine.attachment, node.machine.entry, node.machine.ipv4
    return {
        "role": "mobile_node",
        "state": node.machine.state.value,
        "home_address": f"{format_address(node.settings.home_address)}/{node.settings.home_prefix_length}",
        "home_address_ipv4": _text(ipv4.address),
        "home_address_ipv4_bound": ipv4.bound if node.settings.home_address_ipv4 is not None else None,
        "mobile_prefix_ipv4": _prefix(ipv4.prefix),
        "home_agent": _text(entry.home_agent),
        "home_agent_asked": _text(node.machine.candidate.home_agent) if node.machine.candidate is not None else None,
        "at_home": isinstance(place, AtHome),
        "care_of_address": _text(place.care_of_address) if isinstance(place, Away) else None,
        "interface": node.movement.name(place.interface) if place is not None else None,
        "family": place.family.value if isinstance(place, Away) else None,
        "registered": entry.bound is not None and entry.confirmed,
        "tunnel": _tunnel(node),
        "nat": _nat(node),
        "clock_offset_s": node.machine.registration.clock.offset_s,
        "interfaces": [
            {
                "name": link.name,
                "index": link.index,
                "up": link.up,
                "addresses": [format_address(address) for address in (*link.addresses, *link.ipv4.addresses)],
                "router_ipv4": _text(link.ipv4.router),
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


def _tunnel(node: "MobileNode") -> dict[str, object] | None:
    """``mtu``: the largest inner packet in bytes, None: what the link takes; ``mtu_confirmed``: the largest that was
    answered on this path."""
    tunnel, prober = node.machine.rows.tunnel, node.machine.watch.prober
    if tunnel is None:
        return None
    return {
        "local": format_address(tunnel.local),
        "peer": format_address(tunnel.peer),
        "encapsulation": tunnel.encapsulation.name.lower(),
        "mtu": tunnel.mtu or None,
        "mtu_confirmed": prober.confirmed or None,
    }


def _nat(node: "MobileNode") -> dict[str, object] | None:
    """None: there is none. ``survives_s``: for so long it was found to keep a mapping that is not used."""
    bound, keepalive = node.machine.entry.bound, node.machine.watch.keepalive
    if bound is None or bound.nat_keepalive_s is None:
        return None
    return {
        "keepalive_interval_s": keepalive.interval_s,
        "granted_s": bound.nat_keepalive_s,
        "survives_s": keepalive.proven_s,
    }


def bindings(node: "MobileNode") -> list[dict[str, object]]:
    """The binding update list (RFC 6275 section 11.1), JSON-ready: our home agent, then the one that we would change
    to."""
    entries = (node.machine.entry, node.machine.candidate)
    return [_binding(node, entry) for entry in entries if entry is not None and entry.expires_at is not None]


def _ipv4_bound(node: "MobileNode", entry: BindingUpdateListEntry) -> bool:
    return entry is node.machine.entry and entry.bound is not None and node.machine.ipv4.bound


def _binding(node: "MobileNode", entry: BindingUpdateListEntry) -> dict[str, object]:
    bound = entry.bound
    return {
        "home_address": format_address(node.settings.home_address),
        "home_agent": _text(entry.home_agent),
        "care_of_address": _text(entry.care_of_address),
        "encapsulation": bound.encapsulation.name.lower() if bound is not None else None,
        "nat": bound.nat_keepalive_s is not None if bound is not None else None,
        "home_address_ipv4": _text(node.machine.ipv4.address) if _ipv4_bound(node, entry) else None,
        "mobile_prefix_ipv4": _prefix(node.machine.ipv4.prefix) if entry is node.machine.entry else None,
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
    target, ipv4 = format_address(address), node.machine.ipv4
    if address == settings.home_address:
        return [f"{target} is our home address.", *_where(node)]
    if address == ipv4.address:
        has = "has bound" if ipv4.bound else "has not bound"
        return [f"{target} is our IPv4 home address, which the home agent {has}.", *_where(node)]
    if ipv4.prefix is not None and in_prefix(address, *ipv4.prefix):
        return [f"{target} is in {_prefix(ipv4.prefix)}, the prefix that moves with us.", *_where(node)]
    if address in node.machine.rows.used:
        current = isinstance(place, Away) and place.care_of_address == address
        kind = "the care-of address in use" if current else "a previous care-of address, still listened to"
        return [f"{target} is {kind}."]
    home = format_address(settings.home_address)
    if is_ipv4(address) and address != settings.home_agent_ipv4:
        if ipv4.address is None:
            return [f"We have no IPv4 home address: packets to {target} leave as the host routes them."]
        home = format_address(ipv4.address)
    agents = (entry.home_agent, settings.home_agent_ipv4)
    lines = [f"{target} is our home agent."] if address in agents else []
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
        *_how(node),
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


def _how(node: "MobileNode") -> list[str]:
    """What is around packets in the tunnel, and why."""
    tunnel, bound = node.machine.rows.tunnel, node.machine.entry.bound
    if tunnel is None or tunnel.encapsulation is Encapsulation.IPV6:
        return []
    if tunnel.encapsulation is Encapsulation.IPV4:
        return ["They travel in IPv4: the home agent saw no NAT on the way."]
    if bound is None or bound.care_of_address != tunnel.local:
        return ["They travel in UDP and IPv4 until the home agent has said whether there is a NAT on the way."]
    if bound.nat_keepalive_s is None:
        return ["They travel in UDP and IPv4, although there is no NAT: it was forced."]
    interval_s = node.machine.watch.keepalive.interval_s
    often = "" if interval_s is None else f", which we keep open by one packet every {interval_s:.0f} s at least"
    return [f"They travel in UDP and IPv4 through a NAT{often}."]


def _prefix(prefix: Prefix | None) -> str | None:
    if prefix is None:
        return None
    address, length = prefix
    return f"{format_address(address)}/{length - IPV4_BITS}"
