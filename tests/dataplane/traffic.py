"""Real packets through namespaces, with deadlines."""

import os
import socket
import threading
import time
from collections.abc import Callable

from unwired.bench.namespaces import Namespace

DEADLINE_S = 20.0


def ping(sender: Namespace, destination: str, options: str = "") -> None:
    said = sender.run(f"ping -6 -n -c 3 -i 0.05 -W 2 {options} {destination}", check=False)
    assert " 0% packet loss" in said, said


def transfer(sender: Namespace, source: str, receiver: Namespace, destination: str) -> None:
    """20 MB by TCP, compared at the other end."""
    data = os.urandom(1 << 20) * 20
    received = bytearray()
    with receiver:
        listening = socket.create_server((destination, 0), family=socket.AF_INET6)
    with sender:
        outgoing = socket.socket(socket.AF_INET6)
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


def forget_path_mtu(namespace: Namespace) -> None:
    namespace.ip("route flush cache")


def read(descriptor: int, provoke: Callable[[], object]) -> bytes:
    """The packet that a punt device gives when it is provoked; again, because a device that has just been opened drops
    what comes before the kernel has noticed."""
    packets: list[bytes] = []

    def came() -> bool:
        provoke()
        try:
            packets.append(os.read(descriptor, 65536))
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
