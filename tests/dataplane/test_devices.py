"""The tunnel and the punt device in a namespace of their own."""

import os
import select
import socket
import time

import pytest
from packets import MOBILITY, ipv6, mobility

from unwired.bench.namespaces import Namespace
from unwired.dataplane import DataplaneError, devices
from unwired.dataplane.path_mtu import PathMtu
from unwired.wire.address import parse_address

pytestmark = pytest.mark.root


def test_devices_are_made_once_and_outlive_their_maker(namespace: Namespace) -> None:
    with namespace:
        index = devices.create_tunnel_device("mip0", 1460)
        assert devices.create_tunnel_device("mip0", 1400) == index
        assert devices.mtu(index) == 1400
        assert devices.is_raw(index)
        assert not devices.is_raw(1)
    assert "inet6" not in namespace.run("ip addr show dev mip0")
    assert "UP" in namespace.run("ip link show dev mip0")


def test_punt_device_gives_whole_packets(namespace: Namespace) -> None:
    packet = ipv6("2001:db8::1", "2001:db8::2", MOBILITY, mobility())
    with namespace:
        devices.create_punt_device("punt0")
        descriptor = devices.open_punt_device("punt0")
        try:
            with pytest.raises(DataplaneError, match="another process has it open"):
                devices.open_punt_device("punt0")
            with pytest.raises(BlockingIOError):
                os.read(descriptor, 65536)
            end = time.monotonic() + 10
            while not select.select([descriptor], [], [], 0.05)[0]:  # carrier comes a moment after the reader
                assert time.monotonic() < end
                _transmit("punt0", packet)
            assert os.read(descriptor, 65536) == packet
        finally:
            os.close(descriptor)


def test_removal(namespace: Namespace) -> None:
    with namespace:
        devices.create_tunnel_device("mip0", 1460)
        devices.remove_device("mip0")
        devices.remove_device("mip0")
        with pytest.raises(DataplaneError, match="no interface has the number"):
            devices.mtu(4711)
    assert "mip0" not in namespace.run("ip link")


def test_a_name_that_is_taken_or_too_long(namespace: Namespace) -> None:
    namespace.ip("link add mip0 type veth peer name other")
    with namespace:
        with pytest.raises(DataplaneError, match="is no TUN device"):
            devices.create_tunnel_device("mip0", 1460)
        with pytest.raises(DataplaneError, match="1 to 15 bytes"):
            devices.create_tunnel_device("a-name-too-long-", 1460)


def test_path_mtu_is_a_route_with_a_lock(namespace: Namespace) -> None:
    address = parse_address("2001:db8::1")
    with namespace:
        index = devices.create_tunnel_device("mip0", 1460)
        path_mtu = PathMtu()
    path_mtu.set_route(address, index, 1380)
    path_mtu.set_route(address, index, 1300)
    shown = namespace.run("ip -6 -N route show 2001:db8::1")
    expected = "2001:db8::1 dev mip0 proto 78 metric 32 linkdown mtu lock 1300 pref medium"
    assert " ".join(shown.split()) == expected
    path_mtu.clear_route(address, index)
    path_mtu.clear_route(address, index)
    assert namespace.run("ip -6 route show 2001:db8::1") == ""
    path_mtu.set_route(address, index, 1252)  # no sender is told less than IPv6's minimum
    assert "mtu lock 1280" in namespace.run("ip -6 route show 2001:db8::1")
    ipv4 = parse_address("203.0.113.7")
    path_mtu.set_route(ipv4, index, 1252)
    assert "203.0.113.7 scope link linkdown mtu lock 1252" in " ".join(
        namespace.run("ip -4 route show dev mip0").split()
    ).replace("proto 78 ", "").replace("metric 32 ", "")
    path_mtu.clear_route(ipv4, index)
    path_mtu.clear_route(ipv4, index)
    assert namespace.run("ip -4 route show dev mip0") == ""
    with pytest.raises(DataplaneError, match="path MTU: No such device"):
        path_mtu.set_route(address, 4711, 1300)
    path_mtu.set_device(index, 1200)
    with namespace:
        assert devices.mtu(index) == 1280
    path_mtu.set_device(4711, 1400)
    path_mtu.close()


def _transmit(device: str, packet: bytes) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x86DD)) as out:
        out.sendto(packet, (device, 0x86DD))
