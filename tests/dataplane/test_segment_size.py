"""The maximum segment size in a TCP connection's first packets, brought down to what the tunnel carries."""

from dataclasses import replace

import pytest
from dual_stack_nodes import (
    CORRESPONDENT,
    CORRESPONDENT_IPV4,
    EACH_INNER,
    EACH_NODE,
    IN_IPV6,
    REDIRECT,
    Node,
    packet_of,
    run,
)
from packets import TCP, tcp

from unwired.bench.namespaces import Namespace
from unwired.core.forwarding import Encapsulation, SetTunnel
from unwired.dataplane.bpf_table import BpfTable

pytestmark = pytest.mark.root

SEGMENT_SIZE = b"\x02\x04"


def start(source: str, destination: str, options: bytes, flags: int = 2, hop: int = 64) -> bytes:
    """A TCP segment with a right checksum."""
    return packet_of(source, destination, TCP, tcp(source, destination, options, flags), hop)


def mss(size: int) -> bytes:
    return SEGMENT_SIZE + size.to_bytes(2)


@pytest.mark.parametrize("flags", [2, 0x12], ids=["SYN", "SYN and ACK"])
@EACH_INNER
@EACH_NODE
def test_segment_size_into_a_tunnel(node: Node, inner: int, flags: int, filled: BpfTable, namespace: Namespace) -> None:
    ends = (CORRESPONDENT, node.home) if inner == 6 else (CORRESPONDENT_IPV4, node.home_ipv4)
    fits = 1460 - (60 if inner == 6 else 40)  # what the tunnel device takes
    for size, expected in ((9000, fits), (fits + 1, fits), (fits, fits), (536, 536)):
        _, out = run(filled, namespace, start(*ends, mss(size), flags))
        assert out == node.outwards(start(*ends, mss(expected), flags, hop=63))
    filled.apply(SetTunnel(replace(node.tunnel(), mtu=1252)))
    _, out = run(filled, namespace, start(*ends, mss(1460), flags))
    assert out == node.outwards(start(*ends, mss(fits - 208), flags, hop=63))


@EACH_INNER
@EACH_NODE
def test_segment_size_out_of_a_tunnel(node: Node, inner: int, filled: BpfTable, namespace: Namespace) -> None:
    """By what the tunnel carries into which the answers will go."""
    ends = (node.home, CORRESPONDENT) if inner == 6 else (node.home_ipv4, CORRESPONDENT_IPV4)
    namespace.ip("link set wire mtu 1300")
    fits = 1300 - {Encapsulation.IPV6: 40, Encapsulation.IPV4: 20, Encapsulation.UDP: 28}[node.kind]
    fits -= 60 if inner == 6 else 40
    _, out = run(filled, namespace, node.inwards(start(*ends, mss(1460))))
    assert out == start(*ends, mss(fits), hop=63)
    filled.set_clamp_mss(False)
    _, out = run(filled, namespace, node.inwards(start(*ends, mss(1460))))
    assert out == start(*ends, mss(1460), hop=63)


TIMESTAMPS = b"\x08\x0a" + bytes(8)
OPTIONS = [
    ("behind padding", b"\x01\x01" + mss(1460) + b"\x01\x01", b"\x01\x01" + mss(1400) + b"\x01\x01"),
    ("at an odd place", b"\x01" + mss(1460) + b"\x01\x01\x01", b"\x01" + mss(1400) + b"\x01\x01\x01"),
    ("last of all", TIMESTAMPS + b"\x01\x01" + mss(1460), TIMESTAMPS + b"\x01\x01" + mss(1400)),
    ("behind as much padding as there is room for", b"\x01" * 36 + mss(1460), b"\x01" * 36 + mss(1400)),
    ("behind the end of options", b"\x00\x00" + mss(1460) + b"\0\0", None),
    ("of another length", b"\x02\x03\xff\x01", None),
    ("behind an option of no length", b"\x08\x00" + mss(1460) + b"\0\0", None),
    ("behind an option that is longer than all", b"\x08\xff" + mss(1460) + b"\0\0", None),
    ("cut off by the end of the header", b"\x01\x01" + SEGMENT_SIZE, None),
    ("none", b"", None),
]


@pytest.mark.parametrize(("options", "expected"), [x[1:] for x in OPTIONS], ids=[x[0] for x in OPTIONS])
def test_the_option(options: bytes, expected: bytes | None, filled: BpfTable, namespace: Namespace) -> None:
    _, out = run(filled, namespace, start(CORRESPONDENT, IN_IPV6.home, options))
    after = options if expected is None else expected
    assert out == IN_IPV6.outwards(start(CORRESPONDENT, IN_IPV6.home, after, hop=63))


def test_only_at_the_start_of_a_connection(filled: BpfTable, namespace: Namespace) -> None:
    _, out = run(filled, namespace, start(CORRESPONDENT, IN_IPV6.home, mss(1460), 0x10))
    assert out == IN_IPV6.outwards(start(CORRESPONDENT, IN_IPV6.home, mss(1460), 0x10, hop=63))


def test_every_length_of_a_start_is_survived(filled: BpfTable, namespace: Namespace) -> None:
    for ends in ((CORRESPONDENT, IN_IPV6.home), (CORRESPONDENT_IPV4, IN_IPV6.home_ipv4)):
        segment = tcp(*ends, TIMESTAMPS + b"\x01\x01" + mss(1460), 2)
        for length in range(len(segment)):
            packet = packet_of(*ends, TCP, segment[:length])
            assert run(filled, namespace, packet)[0] == REDIRECT
