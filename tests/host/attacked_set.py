"""Two members of a home agent set as real daemons, and between them an attacker who forwards what they say:

agent1 ---- outside ---- agent2

``outside`` is the router of both, nothing answers behind it, and the third member's locator is its own: it can be that
member as well, with a true certificate and whatever to say.
"""

import os
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from attacked_agent import acknowledged, is_tunnelled, tunnelled
from host_network import KEY, Network, eventually
from hostile_wire import UDP, Impostor, Wire, address, ask_socket, packet, udp

from unwired.core.hello import authenticator
from unwired.host.config import load
from unwired.lab.namespace import Namespace
from unwired.plane.certificates import create_authority, create_member
from unwired.wire.checksum import filled
from unwired.wire.home_agent_hello import HomeAgentHello, encode_hello, encode_text
from unwired.wire.ipv6 import Packet, UnknownPayload
from unwired.wire.rfc6275 import BindingStatus
from unwired.wire.state_synchronization import HelloKey, Kind, StreamOpening, decode_frame, encode_frame

PREFIX = "2001:db8:100::/48"
HOME, OTHER_HOME, UNBOUND_HOME = "2001:db8:100::1000", "2001:db8:100::2000", "2001:db8:100::3000"
CARE_OF = "2001:db8:2::5"
PEER = "2001:db8:3::9"
STRANGER = "2001:db8:66::6"
GROUP = 7
PORT = 7691
THIRD = 3
"""The attacker's own number. Its locator is the smallest: so it is the one that connects."""
ADDRESSES = {1: "2001:db8:100::1", 2: "2001:db8:100::2", THIRD: "2001:db8:100::3"}
LOCATORS = {1: "2001:db8:1:a::2", 2: "2001:db8:2:a::2", THIRD: "2001:db8:0:a::2"}
NAMES = {number: f"agent{number}" for number in ADDRESSES}
HELLO_SILENCE_S = 0.5
"""Longer than usual: how soon a busy machine takes a member for dead is not what is tested."""


class World:
    def __init__(self, network: Network, directory: Path) -> None:
        self.network, self.directory = network, directory
        for name in ("outside", "agent1", "agent2"):
            network.namespace(name)
        self.outside = Namespace(Path(network.command("outside")[1].removeprefix("--net=")))
        network.inside("outside", "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
        network.inside("outside", "ip", "-6", "route", "add", "blackhole", "default")
        network.address("outside", "lo", f"{LOCATORS[THIRD]}/128")
        network.address("outside", "lo", f"{STRANGER}/128")
        self.authority = create_authority(directory, "authority")
        self.files, self._sockets, self.wires = {}, {}, {}
        for number in (1, 2):
            name = NAMES[number]
            network.link(name, "up0", "outside", f"out{number}")
            network.address("outside", f"out{number}", f"2001:db8:{number}:a::1/64")
            network.address(name, "up0", f"{LOCATORS[number]}/64")
            network.inside(name, "ip", "-6", "route", "add", "default", "via", f"2001:db8:{number}:a::1")
            self.wires[number] = Wire(network, "outside", f"out{number}", name, "up0")
        for number in ADDRESSES:
            create_member(directory, *self.authority, NAMES[number], address(LOCATORS[number]))
        for number in (1, 2):
            self.files[number] = _member_file(directory, number)
            self._sockets[number] = load(self.files[number]).daemon.control_socket
        self.node = Impostor(ADDRESSES[1], "mn@example.org", HOME, CARE_OF)
        self.daemons: dict[int, subprocess.Popen[bytes]] = {}
        for number in (1, 2):
            self.start(number)
        eventually(lambda: all(self.serve(at) for at in (1, 2)), 20, "both serve")
        self.first_update = self.register()
        eventually(lambda: len(self.bindings(2)) == 1, what="it is known at both")
        self._pids = self.pids()
        self._bindings = {number: self.known(number) for number in (1, 2)}

    def start(self, number: int) -> None:
        self.daemons[number] = self.network.daemon(NAMES[number], self.files[number])
        eventually(lambda: self._sockets[number].exists(), 10, "the control socket is there")

    def serve(self, at: int) -> bool:
        try:
            return all(self.members(at)[NAMES[of]]["state"] == "serving" for of in (1, 2))
        except (SystemExit, RuntimeError):
            return False

    def register(self) -> bytes:
        """Like a mobile node: again until it is answered."""
        for _ in range(5):
            update = self.node.update()
            self.wires[1].send(update)
            try:
                self.wires[1].wait_for(acknowledged(BindingStatus.BINDING_UPDATE_ACCEPTED), 1.0)
            except AssertionError:
                continue
            return update
        raise AssertionError(f"no binding update was acknowledged: {self.status(1)}")

    # --- what the daemons say ---

    def status(self, at: int) -> dict[str, Any]:
        return ask_socket(self._sockets[at], "status")

    def members(self, at: int) -> dict[str, dict[str, Any]]:
        answer = ask_socket(self._sockets[at], "members")
        return {member["name"]: member for member in answer["members"]}

    def bindings(self, at: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = ask_socket(self._sockets[at], "bindings")["bindings"]
        return found

    def known(self, at: int) -> list[tuple[Any, ...]]:
        """What may not change of the bindings."""
        keys = ("home_address", "care_of_address", "primary", "version")
        return [tuple(binding[key] for key in keys) for binding in self.bindings(at)]

    def pids(self) -> dict[int, int]:
        return {number: self.status(number)["pid"] for number in (1, 2)}

    def log(self, at: int) -> str:
        return (self.directory / f"{NAMES[at]}.log").read_text()

    # --- whether anything was done to them ---

    def changed(self) -> None:
        """The binding was registered again on purpose."""
        eventually(lambda: self.known(1) == self.known(2), what="it is known at both")
        self._bindings = {number: self.known(number) for number in (1, 2)}

    def check_unharmed(self) -> None:
        assert self.pids() == self._pids
        for at in (1, 2):
            assert self.daemons[at].poll() is None
            assert "internal_errors" not in self.status(at)["counters"], self.log(at)
            assert self.known(at) == self._bindings[at]
            members = self.members(at)
            other = members[NAMES[3 - at]]
            assert other["connected"]
            assert [(members[NAMES[of]]["state"], members[NAMES[of]]["up"]) for of in (1, 2)] == [("serving", True)] * 2
            assert other["false_detections"] == 0
        self.check_traffic()

    def check_traffic(self) -> None:
        """To the home address by either member, from the mobile node by either."""
        for entry in (1, 2):
            text = os.urandom(16)
            self.wires[entry].send(packet(PEER, HOME, UDP, udp(b"to" + text)))
            self.wires[1].wait_for(is_tunnelled(ADDRESSES[1], CARE_OF, b"to" + text), what=f"to it by {entry}")
            self.wires[entry].send(tunnelled(CARE_OF, ADDRESSES[1], packet(HOME, PEER, UDP, udp(b"from" + text))))
            self.wires[entry].wait_for(partial(_is_from, HOME, b"from" + text), what=f"from it by {entry}")

    # --- attacks ---

    def hello(self, to: int) -> bytes:
        """The next HELLO that the other member sends to this one: the datagram without its UDP header."""
        wanted = (address(LOCATORS[3 - to]), address(LOCATORS[to]))
        wire = self.wires[3 - to]
        wire.forget()
        found = wire.wait_for(lambda seen: (seen.source, seen.destination) == wanted and is_udp(seen), what="a HELLO")
        return found.data[8:]

    def third(self, to: int) -> "Third":
        return Third(self, to)


def _is_from(source: str, ending: bytes, seen: Packet) -> bool:
    return seen.source == address(source) and seen.data.endswith(ending)


def is_udp(seen: Packet) -> bool:
    return isinstance(seen.payload, UnknownPayload) and seen.payload.protocol == UDP


def datagram(source: str, destination: str, data: bytes, source_port: int = PORT) -> bytes:
    """To the HELLO port."""
    body = source_port.to_bytes(2) + PORT.to_bytes(2) + (8 + len(data)).to_bytes(2) + bytes(2) + data
    return packet(source, destination, UDP, filled(address(source), address(destination), UDP, body, 6))


def count(status: dict[str, Any], path: str) -> int:
    """The counter at ``path``: "drops.malformed", "data_plane.punted", "carrier.refused_stranger"."""
    section, name = path.split(".")
    if section == "data_plane":
        values = status["data_plane"]["counters"]
    elif section == "carrier":
        values = status["home_agent_set"]["carrier"]
    else:
        values = status[section]
    return int(values.get(name, 0))


def rises(world: World, at: int, path: str, do: Callable[[], object], by: int = 1, timeout_s: float = 5.0) -> None:
    """``do`` makes the counter at ``path`` rise by at least so much."""
    before = count(world.status(at), path)
    do()
    enough = before + by
    eventually(lambda: count(world.status(at), path) >= enough, timeout_s, f"{path}: {world.status(at)}")


class Third:
    """The third member, by a stream with its own true certificate; what it says is up to the test."""

    def __init__(self, world: World, to: int) -> None:
        self.to = to
        self.epoch, self.key = 77, os.urandom(32)
        self.sequence = 0
        directory, name = world.directory, NAMES[THIRD]
        self.stream = tls(world, to, directory / f"{name}.crt", directory / f"{name}.key")
        self.send(encode_frame(Kind.LINK, 0, StreamOpening(1, GROUP, address(LOCATORS[THIRD]))))

    def send(self, *frames: bytes) -> None:
        self.stream.sendall(b"".join(frames))

    def share_key(self) -> None:
        self.send(encode_frame(Kind.LINK, 0, HelloKey(self.epoch, self.key)))

    def key_of_the_other(self) -> tuple[int, bytes]:
        """Epoch and key of the member at the other end, which it gives to all members."""
        with self.stream.makefile("rb") as frames:
            while True:
                message = decode_frame(frames.read(int.from_bytes(frames.read(4))))
                key = message.option(HelloKey)
                if key is not None:
                    return key.epoch, key.key

    def hello(self, body: HomeAgentHello | bytes, tail: bytes = b"") -> bytes:
        """An authentic datagram; ``tail`` is added to its body."""
        self.sequence += 1
        encoded = body if isinstance(body, bytes) else encode_hello(body)
        text = encode_text(self.epoch, self.sequence, encoded + tail)
        source, destination = LOCATORS[THIRD], LOCATORS[self.to]
        sealed = text + authenticator(self.key, address(source), address(destination), text)
        return datagram(source, destination, sealed)

    def close(self) -> None:
        self.stream.close()


def tcp(world: World, to: int, source: str = LOCATORS[THIRD], namespace: Namespace | None = None) -> socket.socket:
    """A connection to a member's stream port."""
    with (world.outside if namespace is None else namespace).inside():
        connection = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    connection.settimeout(10)
    connection.bind((source, 0))
    connection.connect((LOCATORS[to], PORT))
    return connection


def tls(
    world: World,
    to: int,
    certificate: Path | None,
    key: Path | None = None,
    most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    source: str = LOCATORS[THIRD],
    namespace: Namespace | None = None,
) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = most
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context.wrap_socket(tcp(world, to, source, namespace))


def ended(connection: socket.socket, timeout_s: float = 10.0) -> float:
    """How long the other end takes to close it."""
    started = time.monotonic()
    connection.settimeout(timeout_s)
    try:
        while connection.recv(65_536):
            pass
    except TimeoutError:
        raise AssertionError(f"still open after {timeout_s} s") from None
    except OSError:
        pass
    connection.close()
    return time.monotonic() - started


def _member_file(directory: Path, number: int) -> Path:
    name = NAMES[number]
    path = directory / f"{name}.toml"
    members = "".join(
        f'[[member]]\nname = "{NAMES[one]}"\naddress = "{ADDRESSES[one]}"\nlocator = "{LOCATORS[one]}"\n'
        for one in ADDRESSES
    )
    path.write_text(
        f"""
[daemon]
name = "{name}-{os.getpid()}"
runtime_dir = "{directory}/run"
state_dir = "{directory}/state"
[home_agent]
address = "{ADDRESSES[number]}"
home_prefixes = ["{PREFIX}"]
[[home_agent.subscriber]]
identifier = "mn@example.org"
home_address = "{HOME}"
[[home_agent.subscriber.key]]
{KEY}
[[home_agent.subscriber]]
identifier = "other@example.org"
home_address = "{OTHER_HOME}"
[[home_agent.subscriber.key]]
spi = 256
secret = "hex:ffeeddccbbaa99887766554433221100"
[home_agent_set]
member = "{name}"
group_id = {GROUP}
hello_misses = {HELLO_SILENCE_S / 0.05:.0f}
certificate = "{name}.crt"
private_key = "{name}.key"
authority = "authority.crt"
{members}
"""
    )
    return path
