"""The benches of the home agent measure what they say: every update is answered, and the figures are there."""

import pytest

from unwired.bench import memory, signalling
from unwired.bench.binding_updates import Fleet, care_of_address, echo_requests, home_address
from unwired.wire.ipv6 import UnknownPayload, decode_packet
from unwired.wire.rfc4285 import MessageId
from unwired.wire.rfc6275 import BindingUpdate


def test_updates_are_distinct_authentic_and_of_one_size() -> None:
    fleet = Fleet(3)
    data = fleet.updates(6, moving=True, ahead_of=1.8e9)
    size = len(data) // 6
    packets = [decode_packet(data[start : start + size]) for start in range(0, len(data), size)]
    assert [packet.home_address for packet in packets] == [home_address(number) for number in (0, 1, 2)] * 2
    assert len({packet.source for packet in packets}) == 6
    assert all(isinstance(packet.payload, BindingUpdate) and packet.checksum_ok for packet in packets)
    updates = [packet.payload for packet in packets if isinstance(packet.payload, BindingUpdate)]
    assert [update.sequence for update in updates] == [1, 1, 1, 2, 2, 2]
    first, again = (updates[index].option(MessageId) for index in (0, 3))
    assert first is not None
    assert again is not None
    assert again.timestamp > first.timestamp


def test_echo_requests_are_whole_datagrams() -> None:
    data = echo_requests(150, 2, "2001:db8::1", 7)
    packet = decode_packet(data[150:])
    assert packet.source == care_of_address(1, 0)
    assert isinstance(packet.payload, UnknownPayload)
    datagram = packet.payload.data
    assert int.from_bytes(datagram[4:6]) == len(datagram) == 110
    words = packet.source + packet.destination + len(datagram).to_bytes(4) + (17).to_bytes(4) + datagram
    assert sum(int.from_bytes(words[at : at + 2]) for at in range(0, len(words), 2)) % 0xFFFF == 0


@pytest.mark.root
def test_every_binding_update_is_acknowledged() -> None:
    result = signalling.run(bindings=50, seconds=0.1, repeats=1)
    medians, baselines = result["medians"], result["baselines"]
    assert isinstance(medians, dict)
    assert isinstance(baselines, dict)
    assert set(medians) == {"first_registrations", "refreshes", "handovers"}
    assert set(baselines) == {"udp_echo_python", "udp_echo_c"}
    assert all(rate > 0 for rate in (*medians.values(), *baselines.values()))
    assert result["refused"] == dict.fromkeys([*medians, *baselines], 0)


@pytest.mark.root
def test_memory_of_bindings_is_told() -> None:
    result = memory.run(bindings=500)
    medians = result["medians"]
    assert isinstance(medians, dict)
    assert 50 < medians["engine"] < 1500
    assert set(medians) == {"daemon", "engine"}
