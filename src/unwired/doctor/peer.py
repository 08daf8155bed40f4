"""Two sites find out what passes between them: one asks, one answers, and both say what they have learnt."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from unwired.doctor.exchange import Exchange
from unwired.doctor.host import Host
from unwired.doctor.packets import addresses
from unwired.doctor.probe import Probe, find_message, probes
from unwired.doctor.wire_tap import WireTap
from unwired.host import netlink
from unwired.host.netlink import Netlink
from unwired.plane.carrier import PORT
from unwired.wire.address import Address, format_address, is_ipv4, parse_address

_ROUNDS, _ROUND_S, _LAST_S = 6, 0.4, 1.0
"""An exchange takes at most 3 s."""
_COLLECT_S = 0.1
"""How long an answer waits for the rest of a round."""
_QUIET_S = 1.0
"""An exchange is over when nothing came for so long."""
_SESSION_BYTES = 8


class PeerError(Exception):
    """Nothing can be sent or received; the text says why."""


def ask(host: Host, peer: Address) -> Exchange:
    """Send probes to a peer that answers, until all is known or time is up. Needs root. Raises PeerError."""
    with _tapping(peer) as tap:
        here, mtu = _way_to(peer)
        exchange = Exchange(os.urandom(_SESSION_BYTES), True, here, peer, mtu, probes(_members_port(host)))
        while exchange.round < _ROUNDS and not exchange.is_complete:
            exchange.round += 1
            _send_round(tap, exchange)
            _listen(tap, exchange, _ROUND_S if exchange.round < _ROUNDS else _LAST_S)
        _send_round(tap, exchange)  # so that the peer knows as much as we do
        return exchange


def answer(host: Host, peer: Address) -> Iterator[Exchange]:
    """Answer the probes of one peer, and give each exchange when it is over. Needs root. Raises PeerError."""
    with _tapping(peer) as tap:
        while True:
            exchange = _await_probe(tap, peer, probes(_members_port(host)))
            quiet_at = time.monotonic() + _QUIET_S
            while time.monotonic() < quiet_at:
                _listen(tap, exchange, _COLLECT_S)
                if exchange.peer_round > exchange.round:
                    exchange.round = exchange.peer_round
                    _send_round(tap, exchange)
                    quiet_at = time.monotonic() + _QUIET_S
            yield exchange


def _await_probe(tap: WireTap, peer: Address, kinds: tuple[Probe, ...]) -> Exchange:
    while True:
        for packet in tap.packets(time.monotonic() + _QUIET_S):
            message = find_message(packet)
            source, here = addresses(packet)
            if message is not None and message.asks and source == peer:
                exchange = Exchange(message.session, False, here, peer, _way_to(peer)[1], kinds)
                exchange.take(packet, time.time())
                return exchange


def _send_round(tap: WireTap, exchange: Exchange) -> None:
    for number, packet in exchange.packets(time.time()):
        if not tap.send(packet):
            exchange.refused.add(number)


def _listen(tap: WireTap, exchange: Exchange, for_s: float) -> None:
    for packet in tap.packets(time.monotonic() + for_s):
        exchange.take(packet, time.time())


@contextmanager
def _tapping(peer: Address) -> Iterator[WireTap]:
    try:
        tap = WireTap(peer)
        try:
            yield tap
        finally:
            tap.close()
    except OSError as error:
        raise PeerError(f"no packets can be exchanged with {format_address(peer)}: {error.strerror}") from None


def _way_to(peer: Address) -> tuple[Address, int]:
    """Our address that packets to the peer come from, and the MTU of the interface that they leave by."""
    ipv4 = is_ipv4(peer)
    family, bits = (socket.AF_INET, 32) if ipv4 else (socket.AF_INET6, 128)
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as way:
        way.connect((format_address(peer), 9))
        here = parse_address(way.getsockname()[0])
    kernel = Netlink()
    try:
        fields = {"family": family, "dst_len": bits}
        (route,) = kernel.request(netlink.RTM_GETROUTE, 0, fields, {"RTA_DST": format_address(peer)})
        (link,) = kernel.request(netlink.RTM_GETLINK, 0, {"index": route.get_attr("RTA_OIF")}, {})
    finally:
        kernel.close()
    return here, link.get_attr("IFLA_MTU")


def _members_port(host: Host) -> int:
    agent = host.home_agent
    return PORT if agent is None or agent.home_agent_set is None else agent.home_agent_set.port
