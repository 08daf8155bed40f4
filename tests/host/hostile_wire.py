"""A link's end that belongs to an attacker: whatever bytes as IPv6 packets, and all that comes by."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from host_network import Network, eventually

from unwired.cli.daemon_client import stream
from unwired.core.authentication import sign
from unwired.core.settings import SecurityAssociation
from unwired.lab.namespace import Namespace
from unwired.wire.address import Address, parse_address
from unwired.wire.errors import DecodeError
from unwired.wire.ipv6 import Packet, UnknownPayload, decode_packet, encode_packet
from unwired.wire.mobility import MobilityOption
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, ntp_timestamp
from unwired.wire.rfc6275 import AlternateCareOfAddress, BindingUpdate

ETHERTYPE_IPV6 = 0x86DD
KEY = SecurityAssociation(256, bytes.fromhex("00112233445566778899aabbccddeeff"))
UDP, IPV6 = 17, 41
_PACKET_OUTGOING = 4
_SO_RCVBUFFORCE = 33
T = TypeVar("T")


def address(text: str) -> Address:
    return parse_address(text)


class Wire:
    """The end ``device`` in namespace ``name`` of the link to ``other_device`` in ``other``."""

    def __init__(self, network: Network, name: str, device: str, other: str, other_device: str) -> None:
        inside = Namespace(Path(network.command(name)[1].removeprefix("--net=")))
        link = json.loads(network.inside(other, "ip", "-j", "link", "show", "dev", other_device))
        other_mac = bytes.fromhex(link[0]["address"].replace(":", ""))
        with inside.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            self._socket.bind((device, ETHERTYPE_IPV6))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 16 << 20)
        self._target = (device, ETHERTYPE_IPV6, 0, 0, other_mac)

    def close(self) -> None:
        self._socket.close()

    def send(self, *packets: bytes) -> None:
        for packet in packets:
            self._socket.sendto(packet, self._target)

    def forget(self) -> None:
        """What has come so far is of no interest."""
        for _ in self._arrived(0.0):
            pass

    def wait_for(self, wanted: Callable[[Packet], bool], timeout_s: float = 3.0, what: str = "") -> Packet:
        """The first packet that is wanted."""
        seen = []
        for packet in self._arrived(timeout_s):
            if wanted(packet):
                return packet
            seen.append(packet)
        raise AssertionError(f"no such answer within {timeout_s} s: {what}; seen: {seen}")

    def all_within(self, seconds: float) -> list[Packet]:
        return list(self._arrived(seconds))

    def _arrived(self, timeout_s: float) -> Iterator[Packet]:
        end = time.monotonic() + timeout_s
        while True:
            self._socket.settimeout(max(0.0, end - time.monotonic()) or 0.000_001)
            try:
                data, come = self._socket.recvfrom(70_000)
            except (TimeoutError, BlockingIOError):
                return
            if come[2] == _PACKET_OUTGOING:
                continue
            try:
                yield decode_packet(data)
            except DecodeError as error:
                raise AssertionError(f"a malformed packet came: {error}, {data.hex()}") from error


class Impostor:
    """A mobile node made by hand, which can do everything wrong. Sequence numbers and timestamps are right unless
    told otherwise."""

    def __init__(self, agent: str, identifier: str, home_address: str, care_of_address: str) -> None:
        self.agent = address(agent)
        self.identifier = identifier.encode()
        self.home_address = address(home_address)
        self.care_of_address = address(care_of_address)
        self.sequence = 0

    def update(
        self,
        *,
        sequence: int | None = None,
        lifetime_units: int = 100,
        home_registration: bool = True,
        key: SecurityAssociation | None = KEY,
        timestamp: int | None = None,
        message_id: bool = True,
        identifier: bytes | None = None,
        home_address: str | None = None,
        care_of_address: str | None = None,
        source: str | None = None,
        options: tuple[MobilityOption, ...] = (),
    ) -> bytes:
        """A binding update's bytes. ``care_of_address`` is what the alternate care-of address option asks for."""
        if sequence is None:
            self.sequence = sequence = self.sequence + 1
        home = self.home_address if home_address is None else address(home_address)
        wanted = self.care_of_address if care_of_address is None else address(care_of_address)
        stamp = ntp_timestamp(time.time()) if timestamp is None else timestamp
        given: list[MobilityOption] = [
            AlternateCareOfAddress(wanted),
            MobileNodeIdentifier(self.identifier if identifier is None else identifier),
        ]
        if message_id:
            given.append(MessageId(stamp))
        update = BindingUpdate(
            sequence,
            lifetime_units,
            acknowledge=True,
            home_registration=home_registration,
            options=(*given, *options),
        )
        data = b""
        if key is not None:
            update, data = sign(update, key, wanted, home)
        source_address = self.care_of_address if source is None else address(source)
        return encode_packet(Packet(source_address, self.agent, update, home_address=home, data=data))


def packet(source: str, destination: str, protocol: int, payload: bytes, **more: Any) -> bytes:
    """An IPv6 packet with any payload."""
    return encode_packet(Packet(address(source), address(destination), UnknownPayload(protocol, payload), **more))


def udp(text: bytes) -> bytes:
    """A datagram without checksum: nobody who forwards it looks."""
    return (1111).to_bytes(2) + (2222).to_bytes(2) + (8 + len(text)).to_bytes(2) + bytes(2) + text


def ask_socket(config_socket: Path, verb: str) -> dict[str, Any]:
    """What the command line prints with --json, without the time to start one."""
    return next(stream(config_socket, verb, timeout_s=10.0))


def risen(read: Callable[[], dict[str, Any]], path: str, before: int, timeout_s: float = 3.0) -> None:
    """Wait until the counter at ``path`` ("drops.malformed") is above ``before``."""
    eventually(lambda: counter(read(), path) > before, timeout_s, f"{path} above {before}: {read()}")


def counter(status: dict[str, Any], path: str) -> int:
    section, name = path.split(".")
    values = status["data_plane"]["counters"] if section == "data_plane" else status[section]
    return int(values.get(name, 0))


def resident_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError(f"no VmRSS of {pid}")
