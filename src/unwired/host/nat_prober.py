"""Asks, by a fresh mapping of the NAT, for one packet back after a while: how long the NAT keeps a mapping."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable

from unwired.core.door import Event, NatProbed, ProbeNat
from unwired.wire.address import format_address
from unwired.wire.datagram import PORT
from unwired.wire.errors import DecodeError
from unwired.wire.nat_probe import NatProbe, decode_nat_probe

_ANSWER_WITHIN_S = 10.0
"""How much longer than asked for the answer may take."""
_DATAGRAM_MAX = 64


class NatProber:
    """One question at a time, by a UDP socket of its own; ``handle`` is told of its answer."""

    def __init__(self, handle: Callable[[Iterable[Event]], None]) -> None:
        self._handle = handle
        self._socket: socket.socket | None = None
        self._given_up: asyncio.TimerHandle | None = None
        self._token = 0

    def probe(self, question: ProbeNat) -> None:
        """Raises OSError when it can't be asked."""
        self.close()
        probing = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            # The care-of address chooses the route, by its rule; only the home agent is heard.
            probing.bind((format_address(question.care_of_address), 0))
            probing.connect((format_address(question.peer), PORT))
            probing.send(NatProbe(question.token, question.delay_s).encode())
        except OSError:
            probing.close()
            raise
        loop = asyncio.get_running_loop()
        self._socket, self._token = probing, question.token
        self._given_up = loop.call_later(question.delay_s + _ANSWER_WITHIN_S, self.close)
        loop.add_reader(probing, self._readable)

    def close(self) -> None:
        """Wait for no answer any more."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        if self._given_up is not None:
            self._given_up.cancel()
            self._given_up = None

    def _readable(self) -> None:
        if self._socket is None:
            return
        answer = None
        with contextlib.suppress(OSError, DecodeError):  # an ICMP error, or nothing of ours: the answer may still come
            answer = decode_nat_probe(self._socket.recv(_DATAGRAM_MAX))
        if answer is not None and answer.is_answer and answer.token == self._token:
            self.close()
            self._handle((NatProbed(answer.token),))
