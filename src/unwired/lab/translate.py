"""A translator between IPv4 and IPv6 in a namespace: a NAT64, or what a CLAT is made of.

It has two TUN devices, one for each family: what the kernel routes into one comes out of the other, translated. Theirs
are the MTUs at which both families fit the same way: 20 bytes less for IPv4.

Run as ``python -m unwired.lab.translate SPECIFICATION``, a JSON file with ``namespace`` (path), ``name`` (of the IPv4
device; the IPv6 one has a 6 behind it), ``prefix`` and ``pool``: a NAT64.
"""

import contextlib
import fcntl
import ipaddress
import json
import os
import select
import signal
import struct
import sys
from pathlib import Path

from pyroute2 import IPRoute

from unwired.lab import namespace
from unwired.lab.translation import Translator

READY = "translate: ready"
IPV6_MTU = 1500
IPV4_MTU = IPV6_MTU - 20
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_PACKETS_AT_ONCE = 64


class Devices:
    """The two devices, made in the calling thread's namespace and up; they go with this object's descriptors."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._descriptors = {4: _open(name), 6: _open(name + "6")}
        with IPRoute() as netlink:
            self.indexes = {4: netlink.link_lookup(ifname=name)[0], 6: netlink.link_lookup(ifname=name + "6")[0]}
            for version, mtu in ((4, IPV4_MTU), (6, IPV6_MTU)):
                _quiet(name if version == 4 else name + "6", version)
                netlink.link("set", index=self.indexes[version], mtu=mtu, state="up")

    def filenos(self) -> list[int]:
        return list(self._descriptors.values())

    def carry(self, descriptor: int, translator: Translator) -> None:
        """Read what waits at one device and write what it becomes to the other one."""
        other = self._descriptors[6 if descriptor == self._descriptors[4] else 4]
        for _ in range(_PACKETS_AT_ONCE):
            try:
                packet = os.read(descriptor, 1 << 16)
            except BlockingIOError:
                return
            translated = translator.translate(packet)
            if translated is not None:
                with contextlib.suppress(OSError):  # the device is down
                    os.write(other, translated)


def _open(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return descriptor


def _quiet(name: str, version: int) -> None:
    """No addresses of their own, no solicitations: nobody is at the other end."""
    settings = {"disable_ipv6": 1} if version == 4 else {"addr_gen_mode": 1, "accept_ra": 0, "router_solicitations": 0}
    for key, value in settings.items():
        Path(f"/proc/sys/net/ipv6/conf/{name}/{key}").write_text(f"{value}\n")


def run(specification: dict[str, str]) -> None:
    """Be a NAT64 until SIGTERM or SIGINT."""
    stop_reader, stop_writer = os.pipe()
    os.set_blocking(stop_writer, False)
    signal.set_wakeup_fd(stop_writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    namespace.enter(Path(specification["namespace"]))
    devices = Devices(specification["name"])
    prefix = ipaddress.IPv6Network(specification["prefix"])
    pool = ipaddress.IPv4Network(specification["pool"])
    with IPRoute() as netlink:
        netlink.route("add", dst=str(prefix), oif=devices.indexes[6], family=10)
        netlink.route("add", dst=str(pool), oif=devices.indexes[4], family=2)
    translator = Translator(prefix.network_address.packed[:12], pool=(host.packed for host in pool.hosts()))
    print(READY, flush=True)
    while True:
        readable, _, _ = select.select([stop_reader, *devices.filenos()], [], [])
        if stop_reader in readable:
            signal.set_wakeup_fd(-1)
            return
        for descriptor in readable:
            devices.carry(descriptor, translator)


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text()))
