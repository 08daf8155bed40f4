"""The UDP probe: numbered packets at an even pace, each carrying when it was sent.

Rows of the source's log: sequence, sent_at_ns, errno (0: given to the network). Rows of the sink's: sequence,
sent_at_ns, received_at_ns. The pace keeps absolute deadlines, so that packet n is due at start + n * interval whatever
was late before it.
"""

import socket
import struct
import time
from pathlib import Path

from unwired.lab.traffic.log import LogWriter
from unwired.lab.traffic.sockets import open_socket
from unwired.lab.traffic.stop import Stop

MAGIC = 0x756E77726470726F
_HEADER = struct.Struct("!QQQ")
SMALLEST = _HEADER.size


def run_source(
    bind: str, port: int, to: str, to_port: int, interval_s: float, size: int, duration_s: float | None, log_path: Path
) -> None:
    """Send until stopped. What the host refuses to send (no route, no address) is a row with its errno, and the next
    packet is tried in its turn."""
    log = LogWriter(log_path, "udp-probe-source", bind=bind, to=to, to_port=to_port, interval_s=interval_s)
    padding = bytes(max(0, size - SMALLEST))
    destination = (to, to_port)
    with open_socket(socket.SOCK_DGRAM, bind, port) as sender, Stop(duration_s) as stop:
        sender.setblocking(False)
        started = time.monotonic()
        sequence = 0
        while True:
            stop.wait(until=started + sequence * interval_s)
            if stop.requested:
                break
            if time.monotonic() < started + sequence * interval_s:
                continue
            sent_at_ns = time.monotonic_ns()
            try:
                sender.sendto(_HEADER.pack(MAGIC, sequence, sent_at_ns) + padding, destination)
            except OSError as error:
                log.row(sequence, sent_at_ns, error.errno or -1)
            else:
                log.row(sequence, sent_at_ns, 0)
            sequence += 1
    log.close()


def run_sink(bind: str, port: int, duration_s: float | None, log_path: Path) -> None:
    """Log each probe packet until stopped; packets that are no probe are left out."""
    with open_socket(socket.SOCK_DGRAM, bind, port) as receiver, Stop(duration_s) as stop:
        receiver.setblocking(False)
        log = LogWriter(log_path, "udp-probe-sink", bind=bind, port=port)
        while not stop.requested:
            if not stop.wait(receiver):
                continue
            try:
                data = receiver.recv(2048)
            except OSError:  # an ICMP error about something else, or a wrong checksum found late
                continue
            received_at_ns = time.monotonic_ns()
            if len(data) < SMALLEST:
                continue
            magic, sequence, sent_at_ns = _HEADER.unpack_from(data)
            if magic == MAGIC:
                log.row(sequence, sent_at_ns, received_at_ns)
        log.close()
