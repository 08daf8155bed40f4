"""Telling the supervisor (systemd's sd_notify protocol) how we are."""

import contextlib
import os
import socket


def tell_supervisor(message: str) -> None:
    """Nothing happens without a supervisor that listens."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.sendto(message.encode(), address)
