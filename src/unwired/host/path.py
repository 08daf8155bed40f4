"""Why a packet to an address goes where it goes: the kernel's routes and the data plane's rows, step by step."""

import socket
from typing import TYPE_CHECKING, Any

from unwired.core.forwarding import Direction, Tunnel
from unwired.core.intercept import PLANE
from unwired.host import netlink
from unwired.host.config import MobileNodeConfig
from unwired.host.kernel_objects import MAIN_TABLE
from unwired.host.netlink import Message
from unwired.wire.address import Address, format_address

if TYPE_CHECKING:
    from unwired.host.daemon import Daemon

_RTN_LOCAL = 2


def explain_path(daemon: "Daemon", address: Address) -> dict[str, Any]:
    """``route``: the kernel's choice; ``tunnel``: the row taken, if it leads into the tunnel device; ``outer_route``:
    where the tunnel's packets go out; ``path``: all of it in sentences."""
    role = daemon.config.role
    source = role.settings.home_address if isinstance(role, MobileNodeConfig) else None
    sentences: list[str] = []
    route = _route(daemon, address, source)
    if "error" in route and source is not None:
        source = None
        route = _route(daemon, address, None)
    sentences.append(_route_sentence(address, source, route))
    found: dict[str, Any] = {"route": route, "tunnel": None, "outer_route": None}
    if route.get("interface") == daemon.config.daemon.tunnel_device:
        tunnel = _tunnel(daemon, address, source)
        if tunnel is None:
            sentences.append("No row of the forwarding table takes it there: it is dropped, or answered by the kernel.")
        else:
            outer = _route(daemon, tunnel.peer, tunnel.local)
            carried = daemon.plane.table.tunnel_counters(tunnel.number)
            found["tunnel"] = {
                "number": tunnel.number,
                "local": format_address(tunnel.local),
                "peer": format_address(tunnel.peer),
                "interface": daemon.links.name_of(tunnel.interface) if tunnel.interface else None,
                "mtu": tunnel.mtu or None,
                "packets_sent": carried.packets_sent,
                "bytes_sent": carried.bytes_sent,
                "packets_received": carried.packets_received,
                "bytes_received": carried.bytes_received,
            }
            found["outer_route"] = outer
            sentences.append(
                f"Tunnel {tunnel.number} wraps it: from {format_address(tunnel.local)} to "
                f"{format_address(tunnel.peer)}; {carried.packets_sent} packets have gone this way."
            )
            sentences.append(_route_sentence(tunnel.peer, tunnel.local, outer))
    return found | {"path": sentences}


def _tunnel(daemon: "Daemon", address: Address, source: Address | None) -> Tunnel | None:
    table = daemon.plane.table
    tunnel = table.tunnel_of(PLANE, Direction.TO_HOME_ADDRESS, address)
    if tunnel is None and source is not None:
        tunnel = table.tunnel_of(PLANE, Direction.FROM_HOME_ADDRESS, source)
    return tunnel


def _route(daemon: "Daemon", destination: Address, source: Address | None) -> dict[str, Any]:
    fields = {"family": socket.AF_INET6, "dst_len": 128, "src_len": 128 if source else 0}
    attributes: dict[str, Any] = {"RTA_DST": format_address(destination)}
    if source:
        attributes["RTA_SRC"] = format_address(source)
    try:
        message: Message = daemon.kernel.request(netlink.RTM_GETROUTE, 0, fields, attributes)[0]
    except OSError as error:
        return {"error": error.strerror}
    index = message.get_attr("RTA_OIF") or 0
    name = daemon.config.daemon.tunnel_device if index == daemon.plane.tunnel else daemon.links.name_of(index)
    return {
        "interface": "lo" if message["type"] == _RTN_LOCAL else name,
        "local": message["type"] == _RTN_LOCAL,
        "gateway": message.get_attr("RTA_GATEWAY"),
        "source": message.get_attr("RTA_PREFSRC"),
        "table": message.get_attr("RTA_TABLE"),
    }


def _route_sentence(destination: Address, source: Address | None, route: dict[str, Any]) -> str:
    what = f"a packet to {format_address(destination)}" + (f" from {format_address(source)}" if source else "")
    if "error" in route:
        return f"The kernel has no route for {what}: {route['error']}."
    if route["local"]:
        return f"The kernel keeps {what}: the address is this host's own."
    way = f" through the router {route['gateway']}" if route["gateway"] else ""
    table = "main table" if route["table"] == MAIN_TABLE else f"table {route['table']}"
    return f"The kernel sends {what} to {route['interface']}{way} ({table})."
