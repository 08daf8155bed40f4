"""The two TUN devices: the tunnel device, which the kernel routes into and nobody reads, and the punt device, which the
daemon reads. Both are persistent: they, their routes and their programs outlive the daemon. Beside the tunnel device
there is a pair of veths: the first cuts offloaded packets into segments (bpf/room.h says which), the second gives them
back.

Everything here acts in the network namespace of the calling thread.
"""

import fcntl
import os
import socket
import struct
from errno import EBUSY, ENODEV
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute, NetlinkError

from unwired.dataplane.table import DataplaneError

_TUNSETIFF = 0x400454CA
_TUNSETPERSIST = 0x400454CB
_TUNGETIFF = 0x800454D2
_SIOCGIFFLAGS, _SIOCGIFINDEX = 0x8913, 0x8933
_IFF_UP, _IFF_MULTICAST = 0x1, 0x1000
_IFF_TUN = 0x0001
_IFF_NO_PI = 0x1000
_IFREQ = struct.Struct("16sH22x")
_NAME_MAX = 15
_LARGEST_MTU = 65535

PUNT_QUEUE_PACKETS = 8192
"""Control packets that wait for the daemon before the device drops: a burst at full rate for a fifth of a second."""

TUNNEL_SYSCTLS = {
    # Also where the host has switched IPv6 off for all others: it is inside of tunnels.
    "disable_ipv6": 0,
    "addr_gen_mode": 1,
    "accept_ra": 0,
    "autoconf": 0,
    "accept_redirects": 0,
    "router_solicitations": 0,
    "dad_transmits": 0,
    # Nobody reads it, so it has no carrier.
    "ignore_routes_with_linkdown": 0,
    # bpf_fib_lookup answers only for a device that forwards.
    "forwarding": 1,
}
TUNNEL_SYSCTLS_IPV4 = {
    "ignore_routes_with_linkdown": 0,
    "forwarding": 1,
    "accept_redirects": 0,
}
PUNT_SYSCTLS = {key: value for key, value in TUNNEL_SYSCTLS.items() if key != "forwarding"}
"""What the daemon writes into it, tunnel packets that came in fragments, goes up the stack when it has been opened."""
_CUTTING = "-cut", "-back"
"""What the names of the pair end in."""
_CUT_FROM_BYTES = 576
"""Offloaded packets are cut that are not smaller; the kernel allows no less than the room for TCP's headers."""


def create_tunnel_device(name: str, mtu: int) -> int:
    """Create or adopt the tunnel device, bring it up with ``mtu`` (of inner packets, in bytes); its ifindex. Beside it,
    the cutting pair."""
    index = _create(name, mtu, 1000, {"ipv6": TUNNEL_SYSCTLS, "ipv4": TUNNEL_SYSCTLS_IPV4}, _IFF_UP | _IFF_MULTICAST)
    _create_cutting_pair(name)
    return index


def tunnel_devices(name: str) -> tuple[str, ...]:
    """The names of all devices that are made with a tunnel device of this name, its own included."""
    return name, *_cutting_names(name)


def cutting_pair(ifindex: int) -> tuple[int, int]:
    """The pair beside the tunnel device with this number: that which cuts, and that where the segments come back."""
    name = str(_link(ifindex).get_attr("IFLA_IFNAME"))
    with IPRoute() as netlink:
        out, back = (_ifindex(netlink, each) for each in _cutting_names(name))
    return out, back


def _cutting_names(name: str) -> tuple[str, ...]:
    return tuple(name[:10] + ending for ending in _CUTTING)


def create_punt_device(name: str) -> int:
    """Create or adopt the punt device and bring it up; its ifindex. Its MTU lets any packet through. Without multicast:
    no groups are joined, so the daemon does not get the kernel's reports of them to read."""
    return _create(name, _LARGEST_MTU, PUNT_QUEUE_PACKETS, {"ipv6": PUNT_SYSCTLS}, _IFF_UP)


def open_punt_device(name: str) -> int:
    """A non-blocking file descriptor from which each read gives one whole packet; each write is one that comes in by
    the device. Raises DataplaneError."""
    return _attach(name)


def is_up(name: str, ifindex: int) -> bool:
    """Whether there is an interface of this name and number, and it is up."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        request = struct.pack("=16si20x", name.encode(), 0)
        try:
            (number,) = struct.unpack_from("=i", fcntl.ioctl(any_socket, _SIOCGIFINDEX, request), 16)
            (flags,) = struct.unpack_from("=H", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request), 16)
        except OSError:
            return False
    return bool(number == ifindex and flags & _IFF_UP)


def reads(descriptor: int, name: str) -> bool:
    """Whether packets of the device ``name`` come to this descriptor: not when the device was removed."""
    try:
        answer = fcntl.ioctl(descriptor, _TUNGETIFF, _IFREQ.pack(b"", 0))
    except OSError:
        return False
    return answer[: _IFREQ.size].split(b"\0", 1)[0] == name.encode()


def remove_device(name: str) -> None:
    """Remove a device made here, and the pair beside it; none is no error."""
    with IPRoute() as netlink:
        for each in tunnel_devices(name):
            for index in netlink.link_lookup(ifname=each):
                try:
                    netlink.link("del", index=index)
                except NetlinkError as error:
                    if error.code != ENODEV:
                        raise DataplaneError(f"cannot remove {each}: {error}") from error


def is_raw(ifindex: int) -> bool:
    """Whether frames of an interface have no link header (TUN, PPP, WWAN). Raises DataplaneError if there is none."""
    return int(_link(ifindex)["ifi_type"]) not in _ETHERNET_LIKE


def mtu(ifindex: int) -> int:
    """The MTU of an interface in bytes. Raises DataplaneError if there is none."""
    return int(_link(ifindex).get_attr("IFLA_MTU"))


_ETHERNET_LIKE = {1, 772}
"""ARPHRD_ETHER and ARPHRD_LOOPBACK: 14 bytes before the IP header."""


def _link(ifindex: int) -> Any:
    with IPRoute() as netlink:
        try:
            (link,) = netlink.get_links(ifindex)
        except NetlinkError as error:
            raise DataplaneError(f"no interface has the number {ifindex}") from error
        return link


def _create(name: str, mtu: int, queue_packets: int, sysctls: dict[str, dict[str, int]], flags: int) -> int:
    with IPRoute() as netlink:
        if not netlink.link_lookup(ifname=name):
            descriptor = _attach(name)
            try:
                fcntl.ioctl(descriptor, _TUNSETPERSIST, 1)
            finally:
                os.close(descriptor)
        index = _ifindex(netlink, name)
        (link,) = netlink.get_links(index)
        information = link.get_attr("IFLA_LINKINFO")
        if information is None or information.get_attr("IFLA_INFO_KIND") != "tun":
            raise DataplaneError(f"{name} exists and is no TUN device: choose another name")
        for family, values in sysctls.items():
            for key, value in values.items():
                _write_sysctl(family, name, key, value)
        change = _IFF_UP | _IFF_MULTICAST
        netlink.link("set", index=index, mtu=mtu, txqlen=queue_packets, flags=flags, change=change)
        return index


def _create_cutting_pair(name: str) -> None:
    out, back = _cutting_names(name)
    with IPRoute() as netlink:
        if not netlink.link_lookup(ifname=out):
            netlink.link("add", ifname=out, kind="veth", peer={"ifname": back})
        for each in (out, back):
            _write_sysctl("ipv6", each, "disable_ipv6", 1)
            netlink.link(
                "set", index=_ifindex(netlink, each), mtu=_LARGEST_MTU, gso_max_size=_CUT_FROM_BYTES, state="up"
            )


def _attach(name: str) -> int:
    if not 0 < len(name.encode()) <= _NAME_MAX:
        raise DataplaneError(f"{name!r} is no device name: 1 to {_NAME_MAX} bytes")
    try:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise DataplaneError(f"/dev/net/tun cannot be opened: {error.strerror}") from error
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, _IFREQ.pack(name.encode(), _IFF_TUN | _IFF_NO_PI))
    except OSError as error:
        os.close(descriptor)
        reason = "another process has it open" if error.errno == EBUSY else error.strerror
        raise DataplaneError(f"the device {name} cannot be opened: {reason}") from error
    return descriptor


def _ifindex(netlink: IPRoute, name: str) -> int:
    found = netlink.link_lookup(ifname=name)
    if not found:
        raise DataplaneError(f"there is no device {name}")
    return int(found[0])


def _write_sysctl(family: str, device: str, key: str, value: int) -> None:
    path = Path("/proc/sys/net") / family / "conf" / device / key
    try:
        path.write_text(str(value))
    except OSError as error:
        raise DataplaneError(f"cannot set {path} to {value}: {error.strerror}") from error
