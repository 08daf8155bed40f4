"""What networks and hosts do about IPv4, with sockets: DHCP, NATs, NAT64 with CLAT, black holes."""

import contextlib
import ipaddress
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from small_lab import inside, lab_of, needs_root, wait_for

from unwired.lab import dhcp, middlebox
from unwired.lab.build import Lab
from unwired.lab.routes import static_routes
from unwired.lab.scenario import NatPorts
from unwired.lab.scenario_file import load
from unwired.lab.translation import Translator
from unwired.wire.address import V4_MAPPED
from unwired.wire.checksum import checksum_ok
from unwired.wire.icmpv6 import ICMPV6, EchoRequest, PacketTooBig, decode_icmp
from unwired.wire.ipv4 import Icmpv4Message, UdpDatagram, decode_icmpv4, encode_icmpv4, encode_ipv4, encode_udp
from unwired.wire.ipv6 import decode_fixed_header

NETWORKS = """
name = "networks"
duration_s = 1

[[node]]
name = "server"
role = "host"
interfaces = { eth0 = ["198.51.100.2/24"] }

[[node]]
name = "core"
role = "router"

[node.interfaces]
eth0 = ["198.51.100.1/24"]
eth1 = ["192.0.2.1/30"]
eth2 = ["192.0.2.5/30"]
eth3 = ["2001:db8:f3::1/64", "192.0.2.9/30"]
eth4 = ["192.0.2.17/29"]

[[node]]
name = "carrier"
role = "router"
interfaces = { eth0 = ["192.0.2.2/30"], eth1 = ["100.64.0.1/24"] }
nat = { outside = "eth0", ports = "random" }

[[node]]
name = "cafe-router"
role = "router"
interfaces = { eth0 = ["100.64.0.2/24"], lan0 = ["10.1.0.1/24"] }
nat = { outside = "eth0" }

[[node]]
name = "open-router"
role = "router"
interfaces = { eth0 = ["192.0.2.6/30"], lan0 = ["203.0.113.1/24"] }
drops_icmp = true

[[node]]
name = "six-router"
role = "router"
interfaces = { eth0 = ["2001:db8:f3::2/64", "192.0.2.10/30"], lan0 = ["2001:db8:6::1/64"] }
nat = { outside = "eth0" }
nat64 = { prefix = "2001:db8:64::/96" }

[[node]]
name = "shop-router"
role = "router"
interfaces = { eth0 = ["192.0.2.18/29", "192.0.2.19/29"], lan0 = ["10.2.0.1/24"] }
nat = { outside = "eth0" }

[[node]]
name = "visitor"
role = "mobile_node"
clat = true
interfaces = { wlan0 = [] }

[node.config.mobile_node]
identifier = "visitor@example.org"
home_address = "2001:db8:100::2/64"
home_agent = "2001:db8:100::1"
interfaces = ["wlan0", "clat"]

[node.config.mobile_node.key]
spi = 256
secret = "hex:00112233445566778899aabbccddeeff"

[[link]]
between = ["server.eth0", "core.eth0"]
[[link]]
between = ["core.eth1", "carrier.eth0"]
[[link]]
between = ["carrier.eth1", "cafe-router.eth0"]
[[link]]
between = ["core.eth2", "open-router.eth0"]
mtu = 1300
[[link]]
between = ["core.eth3", "six-router.eth0"]
[[link]]
between = ["core.eth4", "shop-router.eth0"]

[[network]]
name = "open"
members = ["open-router.lan0"]
[[network]]
name = "cafe"
members = ["cafe-router.lan0"]
[[network]]
name = "shop"
members = ["shop-router.lan0"]
[[network]]
name = "six"
members = ["six-router.lan0"]
advertiser = "lab"
"""
SERVER, PORT = "198.51.100.2", 4191


@pytest.fixture
def scenario_path(write: Callable[[str], Path]) -> Path:
    return write(NETWORKS)


def test_nobody_outside_knows_a_way_behind_a_nat(scenario_path: Path) -> None:
    routes = {(route.node, route.prefix): route.via for route in static_routes(load(scenario_path))}
    assert routes["core", "203.0.113.0/24"] == "192.0.2.6"
    assert routes["cafe-router", "198.51.100.0/24"] == "100.64.0.1"
    assert ("carrier", "10.1.0.0/24") not in routes
    assert ("core", "100.64.0.0/24") not in routes


class _Server:
    """Answers each datagram with the address that it came from; the last one of those is ``seen``."""

    def __init__(self, lab: Lab) -> None:
        self.seen: tuple[str, int] | None = None
        with lab.namespaces["server"].inside():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((SERVER, PORT))
        self._socket.settimeout(0.2)
        self._stopped = False
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with self._socket:
            while not self._stopped:
                with contextlib.suppress(TimeoutError):
                    data, self.seen = self._socket.recvfrom(2048)
                    self._socket.sendto(data, self.seen)

    def stop(self) -> None:
        self._stopped = True


@contextmanager
def _socket_of(lab: Lab, checksums: bool = True) -> Iterator[socket.socket]:
    with lab.namespaces["visitor"].inside():
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with opened:
        opened.setsockopt(socket.SOL_SOCKET, 11, int(not checksums))  # SO_NO_CHECK
        opened.bind(("", PORT))
        opened.settimeout(1)
        yield opened


def _exchange(lab: Lab, checksums: bool, size: int) -> bool:
    with _socket_of(lab, checksums) as client:
        sent = bytes(size)
        client.sendto(sent, (SERVER, PORT))
        try:
            return client.recv(2048) == sent
        except TimeoutError:
            return False


def _default_route(lab: Lab) -> str:
    return inside(lab, "visitor", "ip", "-4", "route", "show", "default")


@pytest.mark.root
@pytest.mark.lab
@needs_root
def test_a_visitor_has_ipv4_wherever_there_is_some(scenario_path: Path) -> None:
    with lab_of(scenario_path) as lab:
        server = _Server(lab)
        assert "198.51.100.0/24" not in _default_route(lab)
        for network, by, seen_from in (
            ("open", "wlan0", "203.0.113."),
            ("cafe", "wlan0", "192.0.2.2"),  # the outer one of two NATs
            ("six", "clat", "192.0.2.10"),
            ("shop", "wlan0", "192.0.2.18"),
        ):
            lab.attach("visitor.wlan0", network)
            wait_for(lambda by=by: f" dev {by} " in _default_route(lab))  # type: ignore[misc]
            for checksums in (True, False):
                wait_for(lambda checksums=checksums: _exchange(lab, checksums, 1200))  # type: ignore[misc]
            assert server.seen is not None
            assert server.seen[0].startswith(seen_from)
            if network == "shop":
                assert server.seen == ("192.0.2.18", PORT)  # the port is preserved
                middlebox.rebind(lab.namespaces["shop-router"], lab.scenario.find_node("shop-router"), 1)
                wait_for(lambda: _exchange(lab, True, 100))
                assert server.seen[0] == "192.0.2.19"
                assert server.seen[1] != PORT
            lab.detach("visitor.wlan0")
            wait_for(lambda: not _default_route(lab))
        told = lab.access.configurations()
        assert [(one.by, one.interface) for one in told] == [
            ("dhcp", "wlan0"),
            ("dhcp", "wlan0"),
            ("clat", "clat"),
            ("dhcp", "wlan0"),
        ]
        server.stop()


@pytest.mark.root
@pytest.mark.lab
@needs_root
def test_a_black_hole_tells_nobody(scenario_path: Path) -> None:
    with lab_of(scenario_path) as lab:
        lab.attach("visitor.wlan0", "open")
        wait_for(lambda: bool(_default_route(lab)))
        ping = ("ping", "-M", "do", "-c", "1", "-W", "1", "-s")
        wait_for(lambda: "1 received" in inside(lab, "visitor", *ping, "1200", SERVER))
        with lab.namespaces["visitor"].inside():
            too_large = subprocess.run([*ping, "1400", SERVER], capture_output=True, text=True, timeout=60).stdout
        assert "100% packet loss" in too_large
        assert "needed" not in too_large  # nor does the kernel know of another path MTU
        assert "mtu" not in inside(lab, "visitor", "ip", "route", "get", SERVER)


# --- without root ----------------------------------------------------------------------------------------------------

PREFIX = ipaddress.IPv6Address("2001:db8:64::").packed[:12]
HOST4, HOST6 = ipaddress.IPv4Address("192.0.0.1").packed, ipaddress.IPv6Address("2001:db8:6::464").packed
THERE4 = ipaddress.IPv4Address(SERVER).packed


def _udp(checksum: bool = True) -> bytes:
    source, destination = V4_MAPPED + HOST4, V4_MAPPED + THERE4
    datagram = encode_udp(source, destination, UdpDatagram(PORT, 5000, b"odd"))
    return encode_ipv4(source, destination, 17, datagram if checksum else datagram[:6] + bytes(2) + datagram[8:])


@pytest.mark.parametrize("checksum", [True, False])
def test_udp_has_the_right_checksum_after_translation(checksum: bool) -> None:
    translator = Translator(PREFIX, {HOST4: HOST6})
    translated = translator.translate(_udp(checksum))
    assert translated is not None
    headers = decode_fixed_header(translated, 0)
    assert (headers.source, headers.destination) == (HOST6, PREFIX + THERE4)
    assert checksum_ok(HOST6, PREFIX + THERE4, 17, translated[40:])
    back = translator.translate(translated)
    assert back is not None
    assert back[20:] == _udp()[20:]
    assert back[12:20] == HOST4 + THERE4


def test_a_nat64_gives_each_node_behind_it_an_address_of_its_pool() -> None:
    pool = ipaddress.IPv4Network("192.168.64.0/24")
    nat64 = Translator(PREFIX, pool=(host.packed for host in pool.hosts()))
    clat = Translator(PREFIX, {HOST4: HOST6})
    inside6 = clat.translate(_udp())
    assert inside6 is not None
    outside4 = nat64.translate(inside6)
    assert outside4 is not None
    assert outside4[12:20] == ipaddress.IPv4Address("192.168.64.1").packed + THERE4
    assert nat64.translate(encode_ipv4(V4_MAPPED + THERE4, V4_MAPPED + outside4[12:16], 17, b"12345678")) is not None


def test_what_tells_of_a_small_mtu_is_translated() -> None:
    clat = Translator(PREFIX, {HOST4: HOST6})
    concerned = encode_ipv4(V4_MAPPED + HOST4, V4_MAPPED + THERE4, 17, bytes(1300))
    router = ipaddress.IPv4Address("192.0.2.9").packed
    needed = encode_icmpv4(Icmpv4Message(3, Icmpv4Message.FRAGMENTATION_NEEDED, 1300, concerned[:68]))
    translated = clat.translate(encode_ipv4(V4_MAPPED + router, V4_MAPPED + HOST4, 1, needed))
    assert translated is not None
    assert checksum_ok(PREFIX + router, HOST6, ICMPV6, translated[40:])
    message = decode_icmp(translated, 40, len(translated))
    assert isinstance(message, PacketTooBig)
    assert message.mtu == 1320
    quoted = decode_fixed_header(message.quoted, 0)
    assert (quoted.source, quoted.destination) == (HOST6, PREFIX + THERE4)
    back = clat.translate(translated)
    assert back is not None
    told = decode_icmpv4(back, 20, len(back))
    assert (told.type, told.code, told.mtu) == (3, Icmpv4Message.FRAGMENTATION_NEEDED, 1300)
    assert told.quoted[12:20] == HOST4 + THERE4


def test_echoes_are_translated_and_fragments_are_not() -> None:
    clat = Translator(PREFIX, {HOST4: HOST6})
    echo = bytes.fromhex("0800 0000 0007 0001") + b"data"
    translated = clat.translate(encode_ipv4(V4_MAPPED + HOST4, V4_MAPPED + THERE4, 1, echo))
    assert translated is not None
    assert decode_icmp(translated, 40, len(translated)) == EchoRequest(7, 1, b"data")
    fragment = bytearray(_udp())
    fragment[6] = 0x20
    assert clat.translate(bytes(fragment)) is None
    for end in range(len(_udp())):
        clat.translate(_udp()[:end])  # nothing cut off does harm
        clat.translate(translated[:end])


def test_a_lease_is_read_from_the_answer_to_our_question_only() -> None:
    asked = dhcp.discovery(b"abcd", b"\2\0\0\0\0\1")
    assert len(asked) == 240 + 3 + 2 + 4 + 1
    given = ipaddress.IPv4Address("10.1.0.113").packed
    options = bytes((53, 1, 5, 80, 0, 0, 1, 4, 255, 255, 255, 0, 3, 4, 10, 1, 0, 1, 255))
    answer = b"\2" + asked[1:16] + given + asked[20:240] + options
    assert dhcp.lease(answer, b"abcd") == dhcp.Lease("10.1.0.113", 24, "10.1.0.1")
    assert dhcp.lease(answer, b"abce") is None
    assert dhcp.lease(asked, b"abcd") is None
    for end in range(len(answer) - 12):
        assert dhcp.lease(answer[:end], b"abcd") is None


def test_the_rules_of_a_nat(scenario_path: Path) -> None:
    node = load(scenario_path).find_node("shop-router")
    assert node.nat is not None
    assert middlebox.outside_addresses(node) == ["192.0.2.18", "192.0.2.19"]
    rules = middlebox.translation(node.nat, "192.0.2.19", node.nat.ports)
    assert "snat to 192.0.2.19\n" in rules
    assert "snat to 192.0.2.19 fully-random\n" in middlebox.translation(node.nat, "192.0.2.19", NatPorts.RANDOM)
