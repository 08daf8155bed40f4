"""What a home agent's engine allocates for each binding: ``python -m unwired.bench.engine_memory BINDINGS``.

The engine alone in a fresh process, its packets decoded as the daemon decodes them, its records acknowledged at once
and forgotten; Python's own count of what it has allocated, so that no memory freed earlier can hide anything.
"""

import gc
import os
import sys
import time
import tracemalloc

from unwired.bench.binding_updates import HOME_AGENT, HOME_PREFIX, SECRET, SPI, Fleet, home_address, identifier
from unwired.core.door import Now, Persist, Persisted
from unwired.core.home_agent import HomeAgent
from unwired.core.settings import HomeAgentSettings, HomePrefix, SecurityAssociation, Subscriber
from unwired.core.subscribers import Subscribers
from unwired.wire.address import parse_address
from unwired.wire.ipv6 import decode_packet

_ROW = 1000
_ROUNDS = 2
"""The registration and a refresh."""


def main() -> None:
    count = int(sys.argv[1])
    associations = (SecurityAssociation(SPI, SECRET),)
    subscribers = Subscribers(
        Subscriber(identifier(number).encode(), home_address(number), associations) for number in range(count)
    )
    prefix, _, length = HOME_PREFIX.partition("/")
    settings = HomeAgentSettings(
        parse_address(HOME_AGENT), (HomePrefix(parse_address(prefix), int(length)),), bindings_max=count
    )
    engine = HomeAgent(settings, subscribers, os.urandom)
    engine.start(_now())
    _carry_out(engine)
    fleet = Fleet(count)
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(_ROUNDS):
        _register(engine, fleet, count)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    print((after - before) / len(engine.cache))


def _register(engine: HomeAgent, fleet: Fleet, count: int) -> None:
    done = 0
    while done < count:
        total = min(_ROW, count - done)
        packets = fleet.updates(total, moving=False, ahead_of=time.time())
        size = len(packets) // total
        for start in range(0, len(packets), size):
            engine.receive(decode_packet(packets[start : start + size]), 0, _now())
        _carry_out(engine)
        done += total


def _carry_out(engine: HomeAgent) -> None:
    """Records are safe at once, everything else is let go."""
    while actions := engine.actions():
        tokens = [action.token for action in actions if isinstance(action, Persist)]
        if tokens:
            engine.handle(Persisted(max(tokens)), _now())


def _now() -> Now:
    return Now(time.monotonic(), time.time())


if __name__ == "__main__":
    main()
