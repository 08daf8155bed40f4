"""Tunnel packets in fragments: sent as any host can put them together, and taken back in one piece."""

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_network import Network, eventually

from unwired.core.forwarding import Listen, Unlisten
from unwired.dataplane.punted import TooBig, decode_punted
from unwired.host.fragments import Reassembled, send_in_fragments
from unwired.host.sockets import Sender
from unwired.wire.address import Address, format_address, parse_address
from unwired.wire.datagram import PORT, decode_datagram, encode_datagram
from unwired.wire.icmpv6 import EchoRequest
from unwired.wire.ipv6 import Outer, Packet, UnknownPayload

pytestmark = pytest.mark.root

HOME, AGENT = parse_address("2001:db8:100::1000"), parse_address("2001:db8:100::1")
HOME_IPV4, PEER_IPV4 = parse_address("203.0.113.7"), parse_address("203.0.113.200")
LEFT, RIGHT = parse_address("2001:db8:1::1"), parse_address("2001:db8:1::2")
LEFT_IPV4, RIGHT_IPV4 = parse_address("192.0.2.1"), parse_address("192.0.2.2")
TURNS = 20
"""Of the event loop, after which a packet that has come has been looked at."""
ECHO = Packet(HOME, AGENT, EchoRequest(1, 2, bytes(range(256)) * 4 + bytes(208)))  # 1280 bytes
IPV4 = Packet(HOME_IPV4, PEER_IPV4, UnknownPayload(6, bytes(1380)))


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    network = Network(tmp_path)
    try:
        network.namespace("left")
        network.namespace("right")
        network.link("left", "eth0", "right", "eth0")
        for name, number in (("left", 1), ("right", 2)):
            network.address(name, "eth0", f"2001:db8:1::{number}/64")
            network.inside(name, "ip", "address", "add", f"192.0.2.{number}/24", "dev", "eth0")
            network.inside(name, "ip", "link", "set", "eth0", "mtu", "1280")
        for address in ("2001:db8:1::2", "192.0.2.2"):
            ping = network.command("left", "ping", "-c1", "-W1", address)
            eventually(lambda ping=ping: subprocess.run(ping, capture_output=True).returncode == 0)
        yield network
    finally:
        network.close()


def too_big(packet: Packet, path_mtu: int) -> TooBig:
    """As the data plane gives it."""
    data = bytearray(encode_datagram(packet))
    if data[0] >> 4 == 4:
        data[8] = 0
        data[4:6] = path_mtu.to_bytes(2)
    else:
        data[7] = 0
        data[1:4] = path_mtu.to_bytes(3)
    found = decode_punted(bytes(data))
    assert isinstance(found, TooBig) and found.goes_in_fragments
    return found


def put_together(network: Network, packet: TooBig, listens: Address, punt_device: int = 99) -> bytes | None:
    """What the other end gives back to its data plane; None when it leaves the packet alone."""
    reading, writing = os.pipe()

    async def there_and_back() -> bytes | None:
        with network.entered("right").inside():
            reassembled = Reassembled(punt_device, writing)
            witness = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 41)
        witness.setblocking(False)
        reassembled.observe(Listen(0, HOME))
        reassembled.observe(Listen(0, listens))
        reassembled.observe(Unlisten(0, HOME))
        with network.entered("left").inside():
            sender = Sender(by_source=True)
        try:
            send_in_fragments(packet, sender)
            has_come = 0
            while not reassembled.given_back and has_come < TURNS:
                with contextlib.suppress(BlockingIOError):
                    has_come += has_come > 0 or len(witness.recv(65_535)) > 0
                await asyncio.sleep(0.001)
            return os.read(reading, 65_535) if reassembled.given_back else None
        finally:
            witness.close()
            sender.close()
            reassembled.close()

    try:
        return asyncio.run(asyncio.wait_for(there_and_back(), 10))
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize(
    "packet",
    [
        Packet(ECHO.source, ECHO.destination, ECHO.payload, outer=Outer(LEFT, RIGHT)),
        Packet(ECHO.source, ECHO.destination, ECHO.payload, outer=Outer(LEFT_IPV4, RIGHT_IPV4)),
        Packet(ECHO.source, ECHO.destination, ECHO.payload, outer=Outer(LEFT_IPV4, RIGHT_IPV4, PORT, PORT)),
        Packet(ECHO.source, ECHO.destination, ECHO.payload, outer=Outer(LEFT_IPV4, RIGHT_IPV4, 50_000, PORT)),
        Packet(IPV4.source, IPV4.destination, IPV4.payload, outer=Outer(LEFT, RIGHT)),
        Packet(IPV4.source, IPV4.destination, IPV4.payload, outer=Outer(LEFT_IPV4, RIGHT_IPV4)),
        Packet(IPV4.source, IPV4.destination, IPV4.payload, outer=Outer(LEFT_IPV4, RIGHT_IPV4, PORT, PORT)),
    ],
    ids=["6in6", "6in4", "6inUDP", "6inUDP-other-port", "4in6", "4in4", "4inUDP"],
)
def test_there_and_back(network: Network, packet: Packet) -> None:
    outer = packet.outer
    assert outer is not None
    data = put_together(network, too_big(packet, 1280), outer.destination)
    assert data is not None
    if data[0] >> 4 == 6:
        assert (data[8:24], data[24:40], data[7]) == (outer.source, outer.destination, 64)
        assert int.from_bytes(data[4:6]) == len(data) - 40
        received = decode_datagram(data[40:])
    else:
        received = decode_datagram(data)
        assert received.outer is not None
        assert (received.outer.source, received.outer.destination) == (outer.source, outer.destination)
        assert received.outer.source_port == outer.source_port
    assert (received.source, received.destination, received.payload) == (
        packet.source,
        packet.destination,
        packet.payload,
    )


def test_congestion_marks_stay(network: Network) -> None:
    packet = bytearray(encode_datagram(Packet(ECHO.source, ECHO.destination, ECHO.payload, outer=Outer(LEFT, RIGHT))))
    packet[0:2] = (0x6030).to_bytes(2)  # traffic class 3: congestion experienced
    data = put_together(network, TooBig(bytes(packet), 1280, True), RIGHT)
    assert data is not None and data[0:2] == (0x6030).to_bytes(2)


def test_what_is_none_of_ours_is_left_alone(network: Network) -> None:
    packet = too_big(Packet(ECHO.source, ECHO.destination, ECHO.payload, outer=Outer(LEFT, RIGHT)), 1280)
    assert put_together(network, packet, parse_address("2001:db8:1::3")) is None
    with network.entered("right").inside():
        came_by = socket.if_nametoindex("eth0")
    assert put_together(network, packet, RIGHT, punt_device=came_by) is None, "given back for ever"


@pytest.mark.parametrize("path_mtu", [68, 576, 1279, 1280])
def test_no_fragment_is_larger_than_the_path(network: Network, path_mtu: int) -> None:
    sent: list[bytes] = []

    class Recorder:
        def send(self, data: bytes, source: Address, destination: Address, interface: int) -> None:
            assert (format_address(source), format_address(destination), interface) == ("192.0.2.1", "192.0.2.2", 0)
            sent.append(data)

    packet = Packet(IPV4.source, IPV4.destination, IPV4.payload, outer=Outer(LEFT_IPV4, RIGHT_IPV4, PORT, PORT))
    send_in_fragments(too_big(packet, path_mtu), Recorder())  # type: ignore[arg-type]
    assert max(map(len, sent)) <= path_mtu
    assert all(len(one) % 8 == 20 % 8 for one in sent[:-1])
    assert len({one[4:6] for one in sent}) == 1 and sent[0][4:6] != bytes(2)
    assert b"".join(one[20:] for one in sent) == encode_datagram(packet)[20:]


def test_the_port_is_held(network: Network) -> None:
    reading, writing = os.pipe()

    async def hold() -> None:
        with network.entered("right").inside():
            first = Reassembled(99, writing)
            second = Reassembled(99, writing)
        assert not first.port_problem
        assert second.port_problem == "Address already in use"
        first.close()
        second.close()

    asyncio.run(hold())
    os.close(reading)
    os.close(writing)
