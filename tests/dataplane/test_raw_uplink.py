"""A mobile node whose uplink has no link header, as a mobile broadband modem's: the test is the network behind it."""

import os
import select
import socket
from collections.abc import Iterator

import pytest
from packets import IPV6, MOBILITY, UDP, ipv6, mobility, udp

from unwired.bench.namespaces import Namespace
from unwired.core.forwarding import Accept, Direction, Forward, Listen, SetTunnel, Tunnel
from unwired.dataplane import devices
from unwired.dataplane.bpf_table import BpfTable
from unwired.wire.address import parse_address

pytestmark = pytest.mark.root

HOME, CARE_OF, HOME_AGENT, CORRESPONDENT = "2001:db8:100::1000", "2001:db8:200::2", "2001:db8:100::1", "2001:db8:c::2"


@pytest.fixture
def network(table: BpfTable, namespace: Namespace) -> Iterator[tuple[int, int]]:
    """What the modem carries, and what is punted."""
    with namespace:
        modem = devices.create_punt_device("wwan0")
        table.set_punt_device(devices.create_punt_device("punt0"))
        table.attach_tunnel_device(devices.create_tunnel_device("mip0", 1460))
        table.attach_uplink(modem)
        ends = devices.open_punt_device("wwan0"), devices.open_punt_device("punt0")
    namespace.sysctl(wwan0__disable_ipv6=0)
    namespace.ip(
        f"addr add {CARE_OF}/64 dev wwan0 nodad",
        "route add default dev wwan0",
        f"addr add {HOME}/128 dev mip0 nodad",
        f"rule add from {HOME} lookup 77",
        "route add default dev mip0 table 77",
    )
    care_of, home_agent, home = parse_address(CARE_OF), parse_address(HOME_AGENT), parse_address(HOME)
    for action in (
        Listen(0, care_of),
        SetTunnel(Tunnel(1, care_of, home_agent)),
        Forward(0, Direction.FROM_HOME_ADDRESS, home, 1),
        Accept(0, Direction.TO_HOME_ADDRESS, home, home_agent, 1),
    ):
        table.apply(action)
    yield ends
    for end in ends:
        os.close(end)


def test_data_in_both_directions(network: tuple[int, int], namespace: Namespace) -> None:
    modem, _ = network
    with namespace:
        connection = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with connection:
        connection.settimeout(10)
        connection.bind((HOME, 0))
        port = connection.getsockname()[1]
        datagram = udp(b"hello", 2222, port)
        checksum = _checksum(ipv6(CORRESPONDENT, HOME, UDP, datagram))
        inner = ipv6(CORRESPONDENT, HOME, UDP, datagram[:6] + checksum.to_bytes(2) + datagram[8:])
        os.write(modem, ipv6(HOME_AGENT, CARE_OF, IPV6, inner))
        assert connection.recv(100) == b"hello"

        connection.sendto(b"hello back", (CORRESPONDENT, 2222))
        outer = _next(modem, IPV6)
        assert outer[8:40] == parse_address(CARE_OF) + parse_address(HOME_AGENT)
        assert outer[48:80] == parse_address(HOME) + parse_address(CORRESPONDENT)
        assert outer.endswith(b"hello back")


def test_control_packets_are_punted_whole(network: tuple[int, int]) -> None:
    modem, punted = network
    packet = ipv6(HOME_AGENT, CARE_OF, MOBILITY, mobility(6))
    os.write(modem, packet)
    assert _next(punted, MOBILITY) == packet


def _next(descriptor: int, next_header: int) -> bytes:
    """The next packet with this next header; the kernel's own (multicast listeners) are passed over."""
    while select.select([descriptor], [], [], 10)[0]:
        packet = os.read(descriptor, 65536)
        if packet[6] == next_header:
            return packet
    raise AssertionError("nothing came")


def _checksum(packet: bytes) -> int:
    data = packet[8:40] + len(packet[40:]).to_bytes(4) + UDP.to_bytes(4) + packet[40:]
    data += bytes(len(data) % 2)
    total = sum(int.from_bytes(data[i : i + 2]) for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total or 0xFFFF
