"""Captures on interfaces of a run, all by one process and without tcpdump.

Run as ``python -m unwired.lab.capture SPECIFICATION``, a JSON file with ``captures``: each has a ``namespace`` (path),
an ``interface``, the ``path`` of the file to write, and ``only_signalling``. Files are pcap with nanoseconds. With
``only_signalling`` a filter in the kernel lets through IPv6 with a mobility header, destination options, a routing
header or ICMPv6, mobility messages in an IPv6 tunnel, and all of these in UDP from or to port 4191 over IPv4.

At SIGTERM it prints how many frames it wrote and how many the kernel had to drop, as a JSON object.
"""

import contextlib
import ctypes
import json
import os
import selectors
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import BinaryIO

from unwired.lab import namespace
from unwired.wire.datagram import PORT

READY = "capture: ready"
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_ETH_P_ALL = 3
_SO_ATTACH_FILTER = 26
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_RECEIVE_BUFFER_BYTES = 16 << 20
_LARGEST_FRAME = 262_144
_FRAMES_AT_ONCE = 256
_PCAP_NANOSECONDS = 0xA1B23C4D
_LINKTYPE_ETHERNET = 1

_LOAD_HALF, _LOAD_BYTE, _JUMP_IF_EQUAL, _RETURN = 0x28, 0x30, 0x15, 0x06
_DROP, _ACCEPT = 22, 23
_SIGNALLING = [
    (_LOAD_HALF, 0, 0, 12),
    (_JUMP_IF_EQUAL, 2, 10, 0x86DD),
    (_LOAD_BYTE, 0, 0, 14 + 6),
    (_JUMP_IF_EQUAL, _ACCEPT, 4, 135),
    (_JUMP_IF_EQUAL, _ACCEPT, 5, 60),
    (_JUMP_IF_EQUAL, _ACCEPT, 6, 43),
    (_JUMP_IF_EQUAL, _ACCEPT, 7, 58),
    (_JUMP_IF_EQUAL, 8, _DROP, 41),
    (_LOAD_BYTE, 0, 0, 14 + 40 + 6),
    (_JUMP_IF_EQUAL, _ACCEPT, _DROP, 135),
    (_JUMP_IF_EQUAL, 11, _DROP, 0x0800),
    (_LOAD_BYTE, 0, 0, 14 + 9),
    (_JUMP_IF_EQUAL, 13, _DROP, 17),
    (_LOAD_HALF, 0, 0, 14 + 20),
    (_JUMP_IF_EQUAL, 17, 15, PORT),
    (_LOAD_HALF, 0, 0, 14 + 20 + 2),
    (_JUMP_IF_EQUAL, 17, _DROP, PORT),
    (_LOAD_BYTE, 0, 0, 14 + 20 + 8 + 6),
    (_JUMP_IF_EQUAL, _ACCEPT, 19, 135),
    (_JUMP_IF_EQUAL, _ACCEPT, 20, 60),
    (_JUMP_IF_EQUAL, _ACCEPT, 21, 43),
    (_JUMP_IF_EQUAL, _ACCEPT, _DROP, 58),
    (_RETURN, 0, 0, 0),
    (_RETURN, 0, 0, _LARGEST_FRAME),
]
"""Classic BPF on an Ethernet frame: (code, where to go if true, if false, operand)."""


def _filter() -> bytes:
    """The filter as the kernel wants it: jumps count from the next instruction."""
    code = b""
    for at, (operation, yes, no, operand) in enumerate(_SIGNALLING):
        jumps = (yes - at - 1, no - at - 1) if operation == _JUMP_IF_EQUAL else (0, 0)
        code += struct.pack("=HBBI", operation, *jumps, operand)
    return code


class _Capture:
    def __init__(self, where: Path, interface: str, path: Path, only_signalling: bool) -> None:
        namespace.enter(where)
        self.path = path
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        if only_signalling:
            code = _filter()
            buffer = ctypes.create_string_buffer(code, len(code))
            program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
            self.socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER_BYTES)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.socket.setblocking(False)
        self.socket.bind((interface, _ETH_P_ALL))
        self.frames = 0
        self._file: BinaryIO = path.open("wb")
        self._file.write(struct.pack("=IHHiIII", _PCAP_NANOSECONDS, 2, 4, 0, 0, _LARGEST_FRAME, _LINKTYPE_ETHERNET))
        self._file.flush()

    def pull(self) -> None:
        for _ in range(_FRAMES_AT_ONCE):
            try:
                data, ancillary, _, _ = self.socket.recvmsg(_LARGEST_FRAME, 64)
            except BlockingIOError:
                break
            except OSError:  # the interface went down; it may come back
                break
            seconds, nanoseconds = struct.unpack("@qq", ancillary[0][2]) if ancillary else (0, 0)
            self._file.write(struct.pack("=IIII", seconds, nanoseconds, len(data), len(data)) + data)
            self.frames += 1
        self._file.flush()

    def close(self) -> dict[str, int]:
        self.pull()
        _, dropped = struct.unpack("=II", self.socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self._file.close()
        self.socket.close()
        return {"frames": self.frames, "dropped": dropped}


def run(specification: dict[str, list[dict[str, str | bool]]]) -> None:
    """Capture until SIGTERM or SIGINT."""
    selector = selectors.DefaultSelector()
    stop_reader, stop_writer = os.pipe()
    os.set_blocking(stop_writer, False)
    signal.set_wakeup_fd(stop_writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    selector.register(stop_reader, selectors.EVENT_READ)
    captures = []
    for wanted in specification["captures"]:
        where, path = Path(str(wanted["namespace"])), Path(str(wanted["path"]))
        capture = _Capture(where, str(wanted["interface"]), path, bool(wanted["only_signalling"]))
        captures.append(capture)
        selector.register(capture.socket, selectors.EVENT_READ, capture)
    print(READY, flush=True)
    stopping = False
    while not stopping:
        for key, _ in selector.select():
            if isinstance(key.data, _Capture):
                key.data.pull()
            else:
                stopping = True
    signal.set_wakeup_fd(-1)
    print(json.dumps({str(capture.path): capture.close() for capture in captures}), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        run(json.loads(Path(sys.argv[1]).read_text()))
