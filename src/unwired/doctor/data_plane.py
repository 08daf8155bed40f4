"""The data plane, tried out on this kernel: our programs, attached in a namespace of their own, forward a packet into a
tunnel and out of one, and give a control packet to the daemon. Versions and configuration options can't say as much."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from unwired.core.forwarding import Accept, Direction, Forward, Listen, SetTunnel, Tunnel
from unwired.dataplane import DataplaneError, devices, object_path
from unwired.dataplane.bpf_table import BpfTable
from unwired.doctor.scratch import Trial, in_scratch
from unwired.host import netlink
from unwired.host.netlink import NLM_F_CREATE, Netlink
from unwired.wire.address import Address, parse_address
from unwired.wire.ipv6 import IPV6_IN_IPV6, NO_NEXT_HEADER, Packet, UnknownPayload, encode_packet
from unwired.wire.rfc6275 import BindingRefreshRequest

_UPLINK, _TUNNEL_DEVICE, _PUNT_DEVICE = "uplink", "mip", "mip-ctl"
_HOME_AGENT, _HOME, _CARE_OF, _CORRESPONDENT = map(
    parse_address, ("2001:db8:1::1", "2001:db8:1::2", "2001:db8:2::1", "2001:db8:3::1")
)


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
    Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1")
    kernel = Netlink()
    try:
        fields = {"family": 10, "table": 254, "proto": 4, "scope": 0, "type": 1}
        kernel.change(netlink.RTM_NEWROUTE, NLM_F_CREATE, fields, {"RTA_OIF": index})
        yield ends
    finally:
        kernel.close()
        for end in ends:
            os.close(end)


def _walk(table: BpfTable, uplink: int, punted: int) -> Iterator[str]:
    """What became of packets that did not arrive."""
    for action in (
        Listen(0, _HOME_AGENT),
        SetTunnel(Tunnel(1, _HOME_AGENT, _CARE_OF)),
        Forward(0, Direction.TO_HOME_ADDRESS, _HOME, 1),
        Accept(0, Direction.FROM_HOME_ADDRESS, _HOME, _CARE_OF, 1),
    ):
        table.apply(action)
    to_home, from_home = _empty(_CORRESPONDENT, _HOME), _empty(_HOME, _CORRESPONDENT)
    tunnelled = encode_packet(Packet(_CARE_OF, _HOME_AGENT, UnknownPayload(IPV6_IN_IPV6, from_home)))
    control = encode_packet(Packet(_CARE_OF, _HOME_AGENT, BindingRefreshRequest()))
    walks: tuple[tuple[str, bytes, int, Callable[[bytes], bool]], ...] = (
        ("into a tunnel", to_home, uplink, lambda packet: _addresses(packet) == _HOME_AGENT + _CARE_OF),
        ("out of a tunnel", tunnelled, uplink, lambda packet: _addresses(packet) == _HOME + _CORRESPONDENT),
        ("to the daemon", control, punted, lambda packet: packet == control),
    )
    for what, packet, end, is_it in walks:
        if not Trial(partial(os.write, uplink, packet), end, is_it).passes():
            counted = [f"{name} {count}" for name, count in table.counters().items() if count]
            yield f"no packet came {what} (the programs counted: {', '.join(counted) or 'nothing'})"


def _empty(source: Address, destination: Address) -> bytes:
    return encode_packet(Packet(source, destination, UnknownPayload(NO_NEXT_HEADER, bytes(8))))


def _addresses(packet: bytes) -> bytes:
    return packet[8:40]
