"""The data plane, tried out on this kernel: our programs, attached in a namespace of their own, forward a packet into a
tunnel and out of one, and give a control packet to the daemon. Versions and configuration options can't say as much."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from unwired.core.forwarding import Accept, Direction, Encapsulation, Forward, Listen, SetTunnel, Tunnel
from unwired.dataplane import DataplaneError, devices, object_path
from unwired.dataplane.bpf_table import BpfTable
from unwired.doctor.packets import addresses
from unwired.doctor.scratch import Trial, in_scratch
from unwired.host import netlink
from unwired.host.netlink import NLM_F_CREATE, Netlink
from unwired.wire.address import Address, parse_address
from unwired.wire.datagram import PORT as NAT_TRAVERSAL
from unwired.wire.datagram import encode_datagram
from unwired.wire.ipv6 import Outer, Packet, UnknownPayload
from unwired.wire.rfc6275 import BindingRefreshRequest

_MAIN_TABLE, _BOOT, _UNICAST = 254, 4, 1
_NOBODYS = 253
"""RFC 3692 section 2.1: a protocol for experiments."""
_UPLINK, _TUNNEL_DEVICE, _PUNT_DEVICE = "uplink", "mip", "mip-ctl"
_HOMES = {"IPv6": parse_address("2001:db8:1::2"), "IPv4": parse_address("198.51.100.2")}
_CORRESPONDENTS = {"IPv6": parse_address("2001:db8:3::1"), "IPv4": parse_address("192.0.2.3")}
_ENDS = {
    Encapsulation.IPV6: (parse_address("2001:db8:1::1"), parse_address("2001:db8:2::1"), 0),
    Encapsulation.IPV4: (parse_address("192.0.2.1"), parse_address("192.0.2.2"), 0),
    Encapsulation.UDP: (parse_address("192.0.2.1"), parse_address("192.0.2.4"), NAT_TRAVERSAL),
}
"""A home agent's address, a care-of address, and the UDP port of both."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How far it went. ``refusal`` says why the programs were not loaded or attached; ``attached_by`` is tcx or clsact,
    empty when it came not that far; ``failures`` says what became of packets that did not arrive."""

    loaded: bool
    attached_by: str = ""
    refusal: str = ""
    failures: tuple[str, ...] = ()


@cache
def rehearse() -> Rehearsal:
    """Needs root."""
    try:
        return in_scratch(_rehearse)
    except OSError as error:
        return Rehearsal(False, refusal=str(error))


def _rehearse() -> Rehearsal:
    try:
        table = BpfTable("doctor", object_path(), capacity=64)
    except DataplaneError as error:
        return Rehearsal(False, refusal=str(error))
    try:
        with _attached(table) as (uplink, punted):
            by_clsact = any(table.directory.glob("clsact-*"))
            failures = tuple(_walk(table, uplink, punted))
            return Rehearsal(True, "clsact" if by_clsact else "tcx", failures=failures)
    except (DataplaneError, OSError) as error:
        return Rehearsal(True, refusal=str(error))


@contextmanager
def _attached(table: BpfTable) -> Iterator[tuple[int, int]]:
    """The uplink and the punt device, both TUN devices, to write packets to and read them from."""
    # Opened before they come up: one that gets its carrier later sends nothing until the kernel has noticed.
    ends = devices.open_punt_device(_UPLINK), devices.open_punt_device(_PUNT_DEVICE)
    index = devices.create_punt_device(_UPLINK)
    table.set_punt_device(devices.create_punt_device(_PUNT_DEVICE))
    table.attach_tunnel_device(devices.create_tunnel_device(_TUNNEL_DEVICE, 1400))
    table.attach_uplink(index)
    Path("/proc/sys/net/ipv6/conf", _UPLINK, "disable_ipv6").write_text("0")
    for name in ("ipv4", "ipv6"):
        Path("/proc/sys/net", name, "conf/all/forwarding").write_text("1")
    kernel = Netlink()
    try:
        for family in (socket.AF_INET6, socket.AF_INET):
            fields = {"family": family, "table": _MAIN_TABLE, "proto": _BOOT, "type": _UNICAST}
            kernel.change(netlink.RTM_NEWROUTE, NLM_F_CREATE, fields, {"RTA_OIF": index})
        yield ends
    finally:
        kernel.close()
        for end in ends:
            os.close(end)


@dataclass(frozen=True, slots=True)
class _Walk:
    """A packet that arrives, and how it is known when it comes out, at the uplink or (``is_control``) at the daemon."""

    what: str
    packet: bytes
    is_it: Callable[[bytes], bool]
    is_control: bool = False


def _walk(table: BpfTable, uplink: int, punted: int) -> Iterator[str]:
    """What became of packets that did not come out."""
    for walk in _walks(table):
        trial = Trial(partial(os.write, uplink, walk.packet), punted if walk.is_control else uplink, walk.is_it)
        if not trial.passes():
            counted = [f"{name} {count}" for name, count in table.counters().items() if count]
            yield f"no packet came {walk.what} (the programs counted: {', '.join(counted) or 'nothing'})"


def _walks(table: BpfTable) -> Iterator[_Walk]:
    """For every kind of tunnel and of inner packet, one in and one out; the rows that they need are made before."""
    for encapsulation, (agent, care_of, port) in _ENDS.items():
        table.apply(Listen(0, agent))
        number = int(encapsulation)
        table.apply(SetTunnel(Tunnel(number, agent, care_of, encapsulation, local_port=port, peer_port=port)))
        for family, home in _HOMES.items():
            table.apply(Forward(0, Direction.TO_HOME_ADDRESS, home, number))
            table.apply(Accept(0, Direction.FROM_HOME_ADDRESS, home, care_of, number, port))
            inside = f"with {family} inside, in {encapsulation.name.replace('V', 'v')}"
            correspondent = _CORRESPONDENTS[family]
            yield _Walk(f"into a tunnel {inside}", _packet(correspondent, home), _is_between(agent, care_of))
            outer = Outer(care_of, agent, port, port)
            yield _Walk(
                f"out of a tunnel {inside}", _packet(home, correspondent, outer), _is_between(home, correspondent)
            )
    agent, care_of, _ = _ENDS[Encapsulation.IPV6]
    control = encode_datagram(Packet(care_of, agent, BindingRefreshRequest()))
    yield _Walk("to the daemon", control, lambda packet: packet.endswith(control), is_control=True)


def _packet(source: Address, destination: Address, outer: Outer | None = None) -> bytes:
    return encode_datagram(Packet(source, destination, UnknownPayload(_NOBODYS, bytes(8)), outer=outer))


def _is_between(source: Address, destination: Address) -> Callable[[bytes], bool]:
    return lambda packet: addresses(packet) == (source, destination)
