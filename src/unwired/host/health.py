"""Whether this host can serve at all, looked at from outside the engine: one that can't must not attract traffic."""

import socket
from collections.abc import Collection

from unwired.host.forwarding_plane import ForwardingPlane
from unwired.host.links import Links


def check(plane: ForwardingPlane, links: Links, uplinks: Collection[int]) -> tuple[bool, str]:
    """Whether all is there, and else what is not, in sentences for a person. ``uplinks`` are the numbers of the
    interfaces that are watched. Some system calls: cheap enough for every second."""
    # One that has just gone is no problem of its own: what we watch follows in a moment.
    there = {number for number, _ in socket.if_nameindex()}
    found = plane.problems(there.intersection(uplinks))
    if not any(interface.up for number, interface in links.interfaces.items() if number in uplinks):
        found.append("no uplink is up")
    return not found, "; ".join(found)
