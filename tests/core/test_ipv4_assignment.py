"""Whose an IPv4 home address or a mobile prefix is: every status of RFC 5555, what sticks, and what is taken back."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from home_agent_driver import (
    DUAL_STACK,
    HOME,
    HOME_AGENT_IPV4,
    KEY,
    NAME,
    OTHER_HOME,
    PREFIX,
    STATIC_IPV4,
    Driver,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unwired.core.door import ActionFailed
from unwired.core.ipv4_pool import Ipv4Pool, block_of, prefix_of
from unwired.core.settings import SecurityAssociation, Subscriber
from unwired.core.subscribers import Subscribers
from unwired.wire.address import UNSPECIFIED_IPV4, V4_MAPPED, Address, format_address, in_prefix, parse_address
from unwired.wire.rfc5555 import Ipv4AddressAcknowledgement, Ipv4HomeAddress

ASK = Ipv4HomeAddress()
OWN_PREFIX = (parse_address("10.9.1.0"), 96 + 24)
SMALL = {"pool_ipv4": ((parse_address("203.0.113.128"), 96 + 29),)}  # .129 to .134 may be given
FIRST = parse_address("203.0.113.129")


def node(number: int) -> Subscriber:
    home = PREFIX.prefix[:14] + (0x4000 + number).to_bytes(2)
    return Subscriber(f"mn{number}@example.org".encode(), home, (SecurityAssociation(256, bytes([number]) * 16),))


def agent(*subscribers: Subscriber, **settings: Any) -> Driver:
    return Driver(subscribers or tuple(node(number) for number in range(1, 20)), **(DUAL_STACK | settings))


def ask(
    driver: Driver, number: int, *options: Ipv4HomeAddress, sequence: int = 1, lifetime_units: int = 60
) -> list[Ipv4AddressAcknowledgement]:
    """Register the mobile node with this number; how its options were answered."""
    driver.pass_time(0.01)
    who = node(number)
    answer = driver.update(
        sequence, lifetime_units, home=who.home_address, key=who.associations[0], name=who.identifier, extra=options
    )
    assert answer is not None and answer.status == 0
    return [option for option in answer.options if isinstance(option, Ipv4AddressAcknowledgement)]


def request(address: str | Address = UNSPECIFIED_IPV4, length: int = 32, prefix: bool = False) -> Ipv4HomeAddress:
    return Ipv4HomeAddress(parse_address(address) if isinstance(address, str) else address, length, prefix)


def given_to(driver: Driver, number: int, sequence: int = 1, lifetime_units: int = 60) -> str:
    (answer,) = ask(driver, number, ASK, sequence=sequence, lifetime_units=lifetime_units)
    return format_address(answer.address) if answer.status == 0 else str(answer.status)


# --- statuses ---


def test_pool_gives_each_its_own() -> None:
    driver = agent()
    addresses = [given_to(driver, number) for number in range(1, 20)]
    assert len(set(addresses)) == 19
    assert all(IPv4Address(one) in IPv4Network("203.0.113.128/25") for one in addresses)


@pytest.mark.parametrize(
    ("option", "status"),
    [
        (request("203.0.113.7"), 0),
        (request(), 0),
        (request("203.0.113.8"), 130),
        (request("203.0.113.200"), 130),
        (request("224.0.0.5"), 131),
        (request("127.0.0.1"), 131),
        (request("203.0.113.7", 0), 128),
        (request("203.0.113.7", 33), 128),
    ],
)
def test_who_has_a_static_address(option: Ipv4HomeAddress, status: int) -> None:
    driver = Driver((Subscriber(NAME, HOME, (KEY,), STATIC_IPV4),), **DUAL_STACK)
    answer = driver.update(1, extra=(option,))
    assert answer is not None and answer.status == 0
    said = answer.option(Ipv4AddressAcknowledgement)
    assert said is not None and said.status == status
    assert (said.address, said.prefix_length) == ((STATIC_IPV4, 32) if status == 0 else (option.address, 0))


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("203.0.113.200", 0),  # of the pool, and nobody's: it may have had it before our journal was lost
        ("203.0.113.129", 130),  # the other one's
        ("203.0.113.50", 130),
        ("198.51.100.1", 130),
        ("203.0.113.255", 130),
        ("203.0.113.7", 130),
    ],
)
def test_who_names_an_address(address: str, status: int) -> None:
    other = Subscriber(b"other", OTHER_HOME, (), STATIC_IPV4)
    driver = agent(node(1), node(2), other)
    assert given_to(driver, 1) == "203.0.113.129"
    (answer,) = ask(driver, 2, request(address))
    assert answer.status == status


def test_nothing_to_give_is_132_and_133() -> None:
    driver = agent(pool_ipv4=(), mobile_prefix_pool_ipv4=())
    answers = ask(driver, 1, ASK, request(length=24, prefix=True))
    assert [answer.status for answer in answers] == [132, 133]


def test_one_address_and_one_prefix_at_a_time() -> None:
    answers = ask(agent(), 1, ASK, request(length=24, prefix=True), ASK, request(length=28, prefix=True))
    assert [answer.status for answer in answers] == [0, 0, 129, 129]


@pytest.mark.parametrize(
    ("option", "status", "prefix"),
    [
        (request(length=24, prefix=True), 0, "10.9.1.0/24"),
        (request(length=28, prefix=True), 0, "10.9.1.0/24"),  # what it has overrides what it asks for
        (request("10.9.1.0", 24), 0, "10.9.1.0/24"),
        (request("10.9.1.77", 24), 0, "10.9.1.0/24"),
        (request("10.9.2.0", 24), 133, None),
        (request("10.9.0.0", 16), 133, None),
        (request("224.9.0.0", 24), 131, None),
    ],
)
def test_who_has_a_prefix_of_its_own(option: Ipv4HomeAddress, status: int, prefix: str | None) -> None:
    driver = Driver((Subscriber(NAME, HOME, (KEY,), None, (OWN_PREFIX,)),), **DUAL_STACK)
    answer = driver.update(1, extra=(option,))
    said = None if answer is None else answer.option(Ipv4AddressAcknowledgement)
    assert said is not None and said.status == status
    assert driver.engine.bindings()[0]["mobile_prefix_ipv4"] == prefix


def test_prefixes_of_the_pool() -> None:
    driver = agent()
    wanted = {1: 24, 2: 28, 3: 16, 4: 28, 5: 32}
    found = {}
    for number, length in wanted.items():
        (answer,) = ask(driver, number, request(length=length, prefix=True))
        assert answer.status == 0
        found[number] = IPv4Network((answer.address[12:], answer.prefix_length))
    assert [network.prefixlen for network in found.values()] == [24, 28, 24, 28, 32], "no more than a /24"
    assert not any(one.overlaps(other) for one in found.values() for other in found.values() if one is not other)
    assert all(network.subnet_of(IPv4Network("10.64.0.0/16")) for network in found.values())


def test_exhausted_prefixes_are_132() -> None:
    driver = agent(mobile_prefix_pool_ipv4=((parse_address("10.64.0.0"), 96 + 23),))
    statuses = [ask(driver, number, request(length=24, prefix=True))[0].status for number in (1, 2, 3)]
    assert statuses == [0, 0, 132]


# --- what may never be given ---


def test_pool_never_gives_what_is_somebodys() -> None:
    taken = parse_address("203.0.113.131")
    others = (Subscriber(b"static", OTHER_HOME, (), taken),)
    nodes = tuple(node(number) for number in range(1, 9))
    driver = agent(*nodes, *others, **SMALL)
    found = {given_to(driver, number) for number in range(1, 9)}
    assert found == {f"203.0.113.{last}" for last in (129, 130, 132, 133, 134)} | {"132"}


def test_pool_does_not_give_the_home_agents_address() -> None:
    driver = agent(address_ipv4=FIRST, **SMALL)
    assert given_to(driver, 1) == "203.0.113.130"


# --- stickiness ---


def test_same_address_again_after_everything() -> None:
    driver = agent()
    first = given_to(driver, 1)
    prefix = ask(driver, 1, ASK, request(length=24, prefix=True), sequence=2)[1].address
    given_to(driver, 2)
    ask(driver, 1, sequence=3)  # without
    ask(driver, 1, sequence=4, lifetime_units=0)
    driver.pass_time(600)  # the entry is forgotten
    assert driver.cache.get(node(1).home_address) is None
    driver.restart(3600)
    assert given_to(driver, 3) not in (first, "203.0.113.130")
    answers = ask(driver, 1, ASK, request(length=24, prefix=True), sequence=1)
    assert [format_address(answers[0].address), answers[1].address] == [first, prefix]
    (answer,) = ask(driver, 1, request(first), sequence=2)
    assert answer.status == 0


def test_address_is_in_the_journal_before_it_is_acknowledged() -> None:
    driver = agent()
    driver.writes = False
    who = node(1)
    assert driver.update(1, home=who.home_address, key=who.associations[0], name=who.identifier, extra=(ASK,)) is None
    keys = [record.key for record in driver.unwritten]
    assert keys == [b"ipv4_assignment:" + who.home_address, b"home_agent:" + who.home_address]


def test_assignment_that_was_not_written_is_written_again() -> None:
    driver = agent()
    driver.writes = False
    who = node(1)
    driver.update(1, home=who.home_address, key=who.associations[0], name=who.identifier, extra=(ASK,))
    for record in driver.unwritten:
        driver.engine.handle(ActionFailed(record, "disk full"), driver.now)
    driver.unwritten.clear()
    driver.writes = True
    driver.pass_time(2)
    assert b"ipv4_assignment:" + who.home_address in driver.journal


def test_address_of_a_pool_that_is_gone_is_forgotten() -> None:
    driver = agent()
    assert given_to(driver, 1) == "203.0.113.129"
    ask(driver, 1, sequence=2, lifetime_units=0)
    driver.pass_time(600)
    driver.settings = replace(driver.settings, pool_ipv4=((parse_address("203.0.113.64"), 96 + 27),))
    driver.restart()
    assert driver.journal == {}
    assert given_to(driver, 1) == "203.0.113.65"


def test_unreadable_assignments_are_skipped_and_told() -> None:
    driver = agent()
    given_to(driver, 1)
    key = b"ipv4_assignment:" + node(2).home_address
    record = driver.journal[b"ipv4_assignment:" + node(1).home_address]
    for bad in (b"", record[:-1], b"\x09" + record[1:], record[:9] + b"\x40" + record[10:]):
        driver.notices.clear()
        driver.journal[key] = bad
        driver.restart()
        assert "record_unreadable" in driver.notice_names()
    driver.journal[b"ipv4_assignment:short"] = record
    driver.restart()
    assert given_to(driver, 1, sequence=2) == "203.0.113.129"


# --- exhaustion ---


def test_exhaustion_takes_from_who_is_unbound_for_the_longest() -> None:
    driver = agent(**SMALL)
    for number in range(1, 7):
        given_to(driver, number)
    assert given_to(driver, 7) == "132"
    for number in (3, 1):
        ask(driver, number, sequence=2, lifetime_units=0)
        driver.pass_time(5)
    assert given_to(driver, 7, sequence=2) == "203.0.113.131", "3's"
    assert given_to(driver, 3, sequence=3) == "203.0.113.129", "1's"
    assert given_to(driver, 1, sequence=3) == "132"


def test_longest_unbound_survives_a_restart() -> None:
    driver = agent(**SMALL)
    for number in range(1, 7):
        given_to(driver, number)
    for number in (5, 2):
        ask(driver, number, sequence=2, lifetime_units=0)
        driver.pass_time(5)
    driver.restart(1)
    assert given_to(driver, 7) == "203.0.113.133", "5's"
    driver.pass_time(200)
    for number in (1, 3, 4, 6, 7):  # who is bound keeps what it has
        given_to(driver, number, sequence=3)
    driver.restart(1)
    assert given_to(driver, 8) == "203.0.113.130"
    assert given_to(driver, 9) == "132"


def test_who_returns_after_its_address_was_taken_gets_another() -> None:
    driver = agent(**SMALL)
    for number in range(1, 7):
        given_to(driver, number)
    ask(driver, 1, sequence=2, lifetime_units=0)
    assert given_to(driver, 7) == "203.0.113.129"
    (answer,) = ask(driver, 1, request("203.0.113.129"), sequence=3)
    assert answer.status == 130
    ask(driver, 2, sequence=2, lifetime_units=0)
    assert given_to(driver, 1, sequence=4) == "203.0.113.130"


def test_subscribers_do_not_share_an_ipv4_home_address() -> None:
    with pytest.raises(ValueError, match="IPv4"):
        Subscribers((Subscriber(b"a", HOME, (), STATIC_IPV4), Subscriber(b"b", OTHER_HOME, (), STATIC_IPV4)))


# --- properties ---

asked = st.one_of(
    st.just(ASK),
    st.builds(lambda last: request(V4_MAPPED + bytes((203, 0, 113, last))), st.integers(120, 145)),
    st.builds(lambda length: request(length=length, prefix=True), st.integers(22, 32)),
    st.builds(lambda third: request(V4_MAPPED + bytes((10, 64, third, 0)), 24), st.integers(0, 5)),
)
steps = st.lists(
    st.tuples(st.integers(1, 9), st.lists(asked, max_size=2), st.booleans(), st.sampled_from([0, 0, 0, 300])),
    max_size=25,
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps)
def test_nothing_is_ever_bound_twice(history: list[tuple[int, list[Ipv4HomeAddress], bool, int]]) -> None:
    pool = ((parse_address("10.64.0.0"), 96 + 22),)
    driver = agent(mobile_prefix_pool_ipv4=pool, **SMALL)
    for sequence, (number, options, restart, seconds) in enumerate(history, 1):
        ask(driver, number, *options, sequence=sequence)
        if restart:
            driver.restart()
        driver.pass_time(seconds)
        rows = driver.engine.bindings()
        addresses = [row["home_address_ipv4"] for row in rows if row["home_address_ipv4"]]
        prefixes = [IPv4Network(row["mobile_prefix_ipv4"]) for row in rows if row["mobile_prefix_ipv4"]]
        assert len(set(addresses)) == len(addresses)
        assert not any(one.overlaps(other) for at, one in enumerate(prefixes) for other in prefixes[:at])
        forwards = {row.address for row in driver.table.rows().forwards}
        assert forwards == {parse_address(row["home_address"]) for row in rows} | set(map(parse_address, addresses))
        assert len(driver.table.rows().mobile_prefixes) == len(prefixes)
        for address in addresses:
            assert in_prefix(parse_address(address), parse_address("203.0.113.128"), 96 + 29)
            assert address not in ("203.0.113.128", "203.0.113.135")


@given(st.lists(st.tuples(st.sampled_from([1, 1, 4, 16]), st.booleans()), max_size=60), st.integers(1, 3))
def test_shares_of_a_pool_do_not_meet(history: list[tuple[int, bool]], members: int) -> None:
    prefixes = [(parse_address("10.0.0.0"), 96 + 26), (parse_address("10.1.0.128"), 96 + 28)]
    pools = [Ipv4Pool(prefixes, (which, members)) for which in range(members)]
    assert sum(pool.size_of_ours for pool in pools) == 64 + 16
    given_blocks: dict[int, tuple[int, Ipv4Pool]] = {}
    for turn, (size, take_back) in enumerate(history):
        pool = pools[turn % members]
        if take_back and given_blocks:
            start = min(given_blocks)
            given_blocks.pop(start)[1].take_back(start)
        start_found = pool.free(size)
        if start_found is None:
            continue
        assert start_found % size == 0 and pool.covers(start_found, size) and pool.is_ours(start_found)
        assert all(start_found + size <= at or at + other[0] <= start_found for at, other in given_blocks.items())
        pool.give(start_found, size, b"somebody")
        given_blocks[start_found] = size, pool


def test_blocks_and_prefixes() -> None:
    for prefix in ((parse_address("10.0.0.0"), 104), (parse_address("192.0.2.7"), 128)):
        assert prefix_of(*block_of(*prefix)) == prefix
    assert prefix_of(*block_of(HOME_AGENT_IPV4))[0] == HOME_AGENT_IPV4
