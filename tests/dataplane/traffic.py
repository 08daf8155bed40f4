"""Real packets through namespaces, with deadlines."""

import os
import socket
import threading
import time
from collections.abc import Callable

from unwired.bench.namespaces import Namespace

DEADLINE_S = 20.0


def ping(sender: Namespace, destination: str, options: str = "") -> None:
    said = sender.run(f"ping -n -c 3 -i 0.05 -W 2 {options} {destination}", check=False)
    assert " 0% packet loss" in said, said


def transfer(sender: Namespace, source: str, receiver: Namespace, destination: str) -> None:
    """20 MB by TCP, compared at the other end."""
    family = _family(destination)
    data = os.urandom(1 << 20) * 20
    received = bytearray()
    with receiver:
        listening = socket.create_server((destination, 0), family=family)
    with sender:
        outgoing = socket.socket(family)
    with listening, outgoing:
        for end in (listening, outgoing):
            end.settimeout(DEADLINE_S)

        def receive() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(DEADLINE_S)
                while part := connection.recv(1 << 20):
                    received.extend(part)

        reader = threading.Thread(target=receive)
        reader.start()
        outgoing.bind((source, 0))
        outgoing.connect((destination, listening.getsockname()[1]))
        outgoing.sendall(data)
        outgoing.shutdown(socket.SHUT_WR)
        reader.join()
    assert received == data


def datagrams(sender: Namespace, source: str, receiver: Namespace, destination: str) -> None:
    """UDP of several lengths there and back, compared at both ends."""
    family = _family(destination)
    with receiver:
        there = socket.socket(family, socket.SOCK_DGRAM)
    with sender:
        here = socket.socket(family, socket.SOCK_DGRAM)
    with there, here:
        for end, address in ((there, destination), (here, source)):
            end.settimeout(DEADLINE_S)
            end.bind((address, 0))
        for length in (1, 100, 1000, 1200):
            data = os.urandom(length)
            here.sendto(data, there.getsockname())
            received, came_from = there.recvfrom(2048)
            assert received == data and came_from[0] == source
            there.sendto(data[::-1], came_from)
            assert here.recv(2048) == data[::-1]


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def forget_path_mtu(namespace: Namespace) -> None:
    namespace.ip("route flush cache")


def read(descriptor: int, provoke: Callable[[], object]) -> bytes:
    """The packet that a punt device gives when it is provoked; again, because a device that has just been opened drops
    what comes before the kernel has noticed. The kernel's own, to groups, are passed over."""
    packets: list[bytes] = []

    def came() -> bool:
        provoke()
        try:
            while not packets:
                packet = os.read(descriptor, 65536)
                if packet[0] >> 4 == 4 or packet[24] != 0xFF:
                    packets.append(packet)
        except BlockingIOError:
            return False
        return True

    until(came)
    return packets[0]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
