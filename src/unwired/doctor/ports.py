"""Ports that Unwired needs and that another program may have."""

import socket
from collections.abc import Iterator
from pathlib import Path

from unwired.doctor.finding import Result, fail, ok
from unwired.doctor.host import Host

NAT_TRAVERSAL = 4191
"""The UDP port of tunnels and control messages through NAT (RFC 5555 section 5.4.4)."""


def nat_traversal(host: Host) -> Iterator[Result]:
    yield _port(host, socket.SOCK_DGRAM, NAT_TRAVERSAL)


def members(host: Host) -> Iterator[Result]:
    agent = host.home_agent
    if agent is None or agent.home_agent_set is None:
        yield ok("not needed: this is no member of a home agent set")
        return
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        yield _port(host, kind, agent.home_agent_set.port)


def _port(host: Host, kind: socket.SocketKind, port: int) -> Result:
    """Whether nobody has it, or only our own daemon."""
    protocol = "TCP" if kind == socket.SOCK_STREAM else "UDP"
    name = f"{protocol} port {port}"
    inodes = _holding(protocol.lower(), port)
    if not inodes:
        return ok("free", name)
    process = _process_of(inodes)
    if host.status is not None and process in ("", f"process {host.status['pid']}"):
        return ok("our daemon has it", name)
    who = process or "a program of another user"
    return fail(f"{who} has it", f"ss -lnp '( sport = :{port} )', and stop that program", name)


def _holding(protocol: str, port: int) -> set[str]:
    """The inodes of the sockets bound to a port (no root is needed to see them); of TCP those that listen."""
    found = set()
    for table in (protocol, f"{protocol}6"):
        path = Path("/proc/thread-self/net", table)
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            _, local, _, state, *rest = line.split()
            if int(local.rpartition(":")[2], 16) == port and (protocol == "udp" or state == "0A"):
                found.add(rest[5])
    return found


def _process_of(inodes: set[str]) -> str:
    """Who holds one of these sockets, empty when that can't be seen."""
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue  # another user's, or just gone
        if target.startswith("socket:[") and target[8:-1] in inodes:
            return f"process {descriptor.parts[2]}"
    return ""
