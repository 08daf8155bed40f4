"""A mobile node that is asked to change its home agent, for tests."""

from dataclasses import replace

from mobile_node_driver import (
    HOME_ADDRESS,
    HOME_AGENT,
    SETTINGS,
    Driver,
    care_of,
    tunnel,
)

from unwired.core.forwarding import Accept, Direction, Unaccept
from unwired.core.mobile_node_states import State
from unwired.core.settings import MobileNodeSettings
from unwired.wire.address import Address, parse_address

NEAR = parse_address("2001:db8:100::2")
THIRD = parse_address("2001:db8:100::3")
FOURTH = parse_address("2001:db8:100::4")
UNPROTECTED = replace(SETTINGS, association=None, insecure=True)


def accept(peer: Address) -> Accept:
    return Accept(0, Direction.TO_HOME_ADDRESS, HOME_ADDRESS, peer, 1)


def refuse(peer: Address) -> Unaccept:
    return Unaccept(0, Direction.TO_HOME_ADDRESS, HOME_ADDRESS, peer)


def restarted(before: Driver, configured: MobileNodeSettings = SETTINGS, seconds: float = 10.0) -> Driver:
    after = Driver(configured, start=False)
    after.time = before.time + seconds
    after.node.restore(before.journal(), after.now)
    after.node.start(after.now)
    after.collect()
    return after


def switched() -> Driver:
    driver = Driver().registered()
    driver.switch(NEAR)
    driver.acknowledge()
    assert driver.state is State.REGISTERED
    assert driver.node.machine.entry.home_agent == NEAR
    return driver


def destinations(driver: Driver) -> list[Address]:
    return [packet.destination for _, packet, _ in driver.updates()]


def unchanged(driver: Driver) -> bool:
    """Still with the first home agent, and nothing was sent."""
    machine = driver.node.machine
    return (
        driver.state is State.REGISTERED
        and machine.candidate is None
        and machine.entry.home_agent == HOME_AGENT
        and machine.rows.tunnel == tunnel(care_of(1), HOME_AGENT, 2)
        and not driver.updates()
    )
