"""The CLAT of a host (RFC 6877): IPv4 by an interface of its own, translated to IPv6 within the host.

It is set up as clatd does it on Linux: the host forwards between the translator's IPv6 device and the link, answers
neighbour solicitations for the translator's IPv6 address on its behalf, and goes on listening to router advertisements.
"""

import contextlib
import ipaddress
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError

from unwired.lab.translate import Devices
from unwired.lab.translation import Translator
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import RouterAdvertisement, decode_icmp
from unwired.wire.nd_options import Pref64, PrefixInformation

NAME = "clat"
"""The interface with IPv4; the translator's other one is ``clat6``."""
SYSCTLS = {
    "net/ipv6/conf/all/accept_ra": 2,
    "net/ipv6/conf/default/accept_ra": 2,
    "net/ipv6/conf/all/proxy_ndp": 1,
    "net/ipv6/conf/default/proxy_ndp": 1,
    "net/ipv6/conf/all/forwarding": 1,
}
"""In this order, and before there are interfaces."""
_ADDRESS = "192.0.0.1"
"""Of the block for this purpose (RFC 7335)."""
_IDENTIFIER = bytes.fromhex("04640000")
"""The first half of the translator's interface identifier; the other one is from the link-layer address."""
_METRIC = 2048
_LENGTH_96 = 0
_NTF_PROXY = 8


class Clat:
    """``kernel`` is a netlink handle of the calling thread's namespace, in which the devices are made, ``interfaces``
    those that IPv6 may come by; ``watch`` is called with a descriptor and what to do when it can be read."""

    def __init__(self, kernel: Any, interfaces: list[str], watch: Callable[[int, Callable[[], None]], None]) -> None:
        for name in interfaces:  # there is no default of this outside of the first namespace
            Path(f"/proc/sys/net/ipv6/neigh/{name}/proxy_delay").write_text("0\n")
        self.name = NAME
        self._kernel = kernel
        self._devices = Devices(NAME)
        self._kernel.link("set", index=self._devices.indexes[4], state="down")
        self._translator = Translator(bytes(12))
        self._index: int | None = None
        self._address = ""
        for descriptor in self._devices.filenos():
            watch(descriptor, partial(self._carry, descriptor))

    def enter(self, index: int, advertisement: bytes) -> str | None:
        """A router advertisement has come by an interface. The IPv4 address, if that makes IPv4 ready to be used."""
        if self._index is not None:
            return None
        found = _offer(advertisement)
        if found is None:
            return None
        prefix, network = found
        hardware = bytes.fromhex(self._kernel.link("get", index=index)[0].get_attr("IFLA_ADDRESS").replace(":", ""))
        address = network[:8] + _IDENTIFIER + hardware[-4:]
        self._translator = Translator(prefix, {ipaddress.IPv4Address(_ADDRESS).packed: address})
        self._index, self._address = index, str(ipaddress.IPv6Address(address))
        kernel, device = self._kernel, self._devices.indexes[4]
        kernel.route("add", dst=f"{self._address}/128", oif=self._devices.indexes[6], family=10)
        kernel.neigh("add", dst=self._address, ifindex=index, flags=_NTF_PROXY)
        kernel.link("set", index=device, state="up")
        kernel.addr("add", index=device, address=_ADDRESS, prefixlen=32)
        kernel.route("add", dst="default", oif=device, family=2, priority=_METRIC)
        return _ADDRESS

    def leave(self, index: int) -> None:
        """An interface has no link any more."""
        if index != self._index:
            return
        self._index = None
        kernel, device = self._kernel, self._devices.indexes[4]
        with contextlib.suppress(NetlinkError):
            kernel.addr("del", index=device, address=_ADDRESS, prefixlen=32)
            kernel.link("set", index=device, state="down")
            kernel.neigh("del", dst=self._address, ifindex=index, flags=_NTF_PROXY)
            kernel.route("del", dst=f"{self._address}/128", oif=self._devices.indexes[6], family=10)

    def _carry(self, descriptor: int) -> None:
        self._devices.carry(descriptor, self._translator)


def _offer(data: bytes) -> tuple[bytes, bytes] | None:
    """What a router advertisement says of a NAT64: 12 bytes of its prefix, and a prefix to take an address from."""
    try:
        message = decode_icmp(data, 0, len(data))
    except DecodeError:
        return None
    if not isinstance(message, RouterAdvertisement):
        return None
    translating = [one.prefix for one in message.options if isinstance(one, Pref64)
                   and one.prefix_length_code == _LENGTH_96 and one.lifetime_units]  # fmt: skip
    networks = [one.prefix for one in message.options if isinstance(one, PrefixInformation) and one.autonomous]
    return (translating[0], networks[0]) if translating and networks else None
