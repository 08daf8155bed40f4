"""Why a packet to an address goes where it goes: the kernel's routes and the data plane's rows, step by step."""

import socket
from typing import TYPE_CHECKING, Any

from unwired.core.forwarding import Direction, Encapsulation, Tunnel
from unwired.core.intercept import PLANE
from unwired.core.mobile_node import MobileNode
from unwired.host import netlink
from unwired.host.kernel_objects import MAIN_TABLE
from unwired.host.netlink import Message
from unwired.wire.address import Address, format_address, is_ipv4

if TYPE_CHECKING:
    from unwired.host.daemon import Daemon

_RTN_LOCAL = 2
_RTM_F_LOOKUP_TABLE = 0x1000
"""Tell the table that the route is in, as is always done for IPv6."""
_WRAPPED_IN = {Encapsulation.IPV6: "IPv6", Encapsulation.IPV4: "IPv4", Encapsulation.UDP: "UDP and IPv4"}


def explain_path(daemon: "Daemon", address: Address) -> dict[str, Any]:
    """``route``: the kernel's choice; ``tunnel``: the row taken, if it leads into the tunnel device; ``outer_route``:
    where the tunnel's packets go out; ``path``: all of it in sentences."""
    source = _home_address(daemon, address)
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
                "encapsulation": tunnel.encapsulation.name.lower(),
                "local": format_address(tunnel.local),
                "peer": format_address(tunnel.peer),
                "local_port": tunnel.local_port or None,
                "peer_port": tunnel.peer_port or None,
                "interface": daemon.links.name_of(tunnel.interface) if tunnel.interface else None,
                "mtu": tunnel.mtu or None,
                "packets_sent": carried.packets_sent,
                "bytes_sent": carried.bytes_sent,
                "packets_received": carried.packets_received,
                "bytes_received": carried.bytes_received,
            }
            found["outer_route"] = outer
            sentences.append(
                f"Tunnel {tunnel.number} wraps it in {_WRAPPED_IN[tunnel.encapsulation]}: from "
                f"{_end(tunnel.local, tunnel.local_port)} to {_end(tunnel.peer, tunnel.peer_port)}; "
                f"{carried.packets_sent} packets have gone this way."
            )
            sentences.append(_route_sentence(tunnel.peer, tunnel.local, outer))
    return found | {"path": sentences}


def _home_address(daemon: "Daemon", destination: Address) -> Address | None:
    """The home address that a mobile node's packets to a destination come from; None when it has none of the family."""
    engine = daemon.engine
    if not isinstance(engine, MobileNode):
        return None
    return engine.machine.ipv4.address if is_ipv4(destination) else engine.settings.home_address


def _end(address: Address, port: int) -> str:
    return f"{format_address(address)} port {port}" if port else format_address(address)


def _tunnel(daemon: "Daemon", address: Address, source: Address | None) -> Tunnel | None:
    table = daemon.plane.table
    tunnel = table.tunnel_of(PLANE, Direction.TO_HOME_ADDRESS, address)
    if tunnel is None and source is not None:
        tunnel = table.tunnel_of(PLANE, Direction.FROM_HOME_ADDRESS, source)
    return tunnel


def _route(daemon: "Daemon", destination: Address, source: Address | None) -> dict[str, Any]:
    of_ipv4 = is_ipv4(destination)
    family, length = (socket.AF_INET, 32) if of_ipv4 else (socket.AF_INET6, 128)
    flags = _RTM_F_LOOKUP_TABLE if of_ipv4 else 0
    fields = {"family": family, "dst_len": length, "src_len": length if source else 0, "flags": flags}
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
