"""What only a home agent's site needs: BGP sessions that can announce the home prefixes, and valid certificates."""

import asyncio
import socket
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unwired.doctor.finding import Result, fail, ok, unknown, warn
from unwired.doctor.host import Host
from unwired.plane import bird
from unwired.plane.bgp import BgpMode, BgpNeighbor
from unwired.wire.address import format_address, is_ipv4

_BGP_PORT = 179
_TIMEOUT_S = 3.0
_NOT_ANNOUNCED = "not needed: the configuration has no [bgp], so the site's router has a fixed route to this host"
_HOP_LIMIT_MAX = 255
_TCP_MD5SIG = 14
_MD5_SIGNATURE = struct.Struct("=128sBBHI80s")
"""struct tcp_md5sig: the peer's socket address, flags, prefix length, key length, interface, key."""


def routing_daemon(host: Host) -> Iterator[Result]:
    """Whether BIRD takes the configuration that it would be given; nothing of it is run."""
    announcement = None if host.home_agent is None else host.home_agent.announcement
    if announcement is None:
        yield ok(_NOT_ANNOUNCED)
    elif announcement.bgp.mode is BgpMode.EXTERNAL:
        yield ok("your own routing daemon's; docs/home-agent-set.md says what it has to do")
    else:
        try:
            program = bird.find()
            with tempfile.TemporaryDirectory() as directory:
                file = Path(directory, "bird.conf")
                file.write_text(bird.configuration(announcement, Path(directory)))
                asyncio.run(bird.check(program, file))
        except bird.BirdError as error:
            yield fail(str(error), "apt install bird2")
        else:
            yield ok(f"{program} takes the configuration that the daemon makes for it")


def bgp_sessions(host: Host) -> Iterator[Result]:
    """By what the running daemon says, else by whether the routers answer on the BGP port."""
    bgp = None if host.home_agent is None else host.home_agent.bgp
    if bgp is None:
        yield ok(_NOT_ANNOUNCED)
    elif bgp.mode is BgpMode.EXTERNAL:
        yield unknown("your own routing daemon's sessions can't be seen from here", "ask it: birdc show protocols")
    elif host.status is not None:
        yield from _running(host.status)
    else:
        for neighbor in bgp.neighbors:
            yield _reach(neighbor)


def _running(status: dict[str, Any]) -> Iterator[Result]:
    announcement = (status.get("home_agent_set") or {}).get("announcement") or {}
    for session in announcement.get("sessions", []):
        neighbor, state = session["neighbor"], session["state"]
        if state == "Established":
            yield ok(f"established with {neighbor}", neighbor)
        else:
            yield fail(
                f"{state} with {neighbor}",
                "compare AS numbers and password with the router's; unwired status",
                neighbor,
            )


def _reach(neighbor: BgpNeighbor) -> Result:
    """A connection is made and closed again, as BGP does when it has no session for it."""
    text = format_address(neighbor.address)
    family = socket.AF_INET if is_ipv4(neighbor.address) else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as attempt:
        attempt.settimeout(_TIMEOUT_S)
        try:
            _prepare(attempt, neighbor)
            attempt.connect((text, _BGP_PORT))
        except TimeoutError:
            fix = f"let TCP port {_BGP_PORT} pass; compare password and ttl_security with the router's"
            return fail(f"{text} does not answer on TCP port {_BGP_PORT}", fix, text)
        except ConnectionRefusedError:
            return fail(f"{text} refuses TCP port {_BGP_PORT}", "make this host a BGP neighbour there", text)
        except OSError as error:
            return fail(f"{text} can't be reached: {error.strerror}", f"ip route get {text}", text)
    return ok(f"{text} answers on TCP port {_BGP_PORT}", text)


def _prepare(attempt: socket.socket, neighbor: BgpNeighbor) -> None:
    """Without the signature or the hop limit that it was told, a router does not answer at all."""
    is_ipv6 = attempt.family == socket.AF_INET6
    if neighbor.ttl_security:
        level, option = (
            (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if is_ipv6 else (socket.IPPROTO_IP, socket.IP_TTL)
        )
        attempt.setsockopt(level, option, _HOP_LIMIT_MAX)
    if neighbor.password:
        peer = struct.pack("=HH", attempt.family, 0)
        peer += bytes(4) + neighbor.address if is_ipv6 else neighbor.address[12:]
        key = neighbor.password.encode()
        attempt.setsockopt(socket.IPPROTO_TCP, _TCP_MD5SIG, _MD5_SIGNATURE.pack(peer, 0, 0, len(key), 0, key))


def certificates(host: Host) -> Iterator[Result]:
    agent = host.home_agent
    if agent is None or agent.home_agent_set is None:
        yield ok("not needed: this is no member of a home agent set")
        return
    warnings = host.config.warnings() if host.config is not None else []
    for warning in warnings:
        yield warn(warning, "unwired members certificate")
    if not warnings:
        yield ok("valid, and for more than a while")
