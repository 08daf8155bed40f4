"""Plugging and unplugging movable interfaces in the wire namespace, in the run that built them and from outside."""

import json
from pathlib import Path

from pyroute2 import IPRoute

from unwired.lab.namespace import Namespace
from unwired.lab.processes import LabError

WIRES = "_wires"
"""The wire namespace's name; no node can have it."""
_FILE = "plugs.json"


def plug(netlink: IPRoute, port: int, bridge: int) -> None:
    """Put a port into a network's bridge: the interface at its other end has carrier when this returns."""
    netlink.link("set", index=port, master=bridge)
    netlink.link("set", index=port, state="up")


def unplug(netlink: IPRoute, port: int) -> None:
    netlink.link("set", index=port, state="down")
    netlink.link("set", index=port, master=0)


def write_down(directory: Path, ports: dict[str, int], bridges: dict[str, int]) -> None:
    """Keep what ``move`` needs to know: interfaces to ports, networks to bridges."""
    (directory / _FILE).write_text(json.dumps({"ports": ports, "bridges": bridges}))


def move(directory: Path, end: str, network: str | None) -> None:
    """Move an interface of a run that is up to a network, or to none. Raises LabError."""
    known = json.loads((directory / _FILE).read_text())
    ports, bridges = known["ports"], known["bridges"]
    if end not in ports:
        raise LabError(f"{end} cannot be moved; what can: {', '.join(ports) or 'nothing'}")
    if network is not None and network not in bridges:
        raise LabError(f"there is no network {network!r}; there are: {', '.join(bridges) or 'none'}")
    namespace = Namespace(directory / "netns" / WIRES)
    try:
        unplug(namespace.netlink, ports[end])
        if network is not None:
            plug(namespace.netlink, ports[end], bridges[network])
    finally:
        namespace.close()
