"""A mobile node's IPv4 home address and mobile prefix: asked for, granted, refused, kept (RFC 5555 sections 3.1.1,
3.2.1 and 4.4.2)."""

from dataclasses import replace
from typing import Any

from mobile_node_driver import (
    DUAL_STACK,
    HOME_ADDRESS,
    HOME_AGENT,
    SETTINGS,
    Driver,
    care_of,
)

from unwired.core.binding_update_list import SavedEntry
from unwired.core.door import (
    AddressAdded,
    DropHomeAddress,
    DropMobilePrefix,
    GoAway,
    GoHome,
    HoldHomeAddress,
    HoldMobilePrefix,
    RouterAdded,
)
from unwired.core.forwarding import (
    Accept,
    Direction,
    Forward,
    RemoveMobilePrefix,
    SetMobilePrefix,
    Unaccept,
    Unforward,
)
from unwired.core.mobile_node_states import State
from unwired.wire.address import IPV4_BITS, UNSPECIFIED_IPV4, parse_address
from unwired.wire.icmpv6 import PacketTooBig
from unwired.wire.ipv4 import Icmpv4Message, encode_ipv4
from unwired.wire.ipv6 import Packet, UnknownPayload, encode_packet
from unwired.wire.rfc5555 import Ipv4AddressAcknowledgement, Ipv4HomeAddress, Ipv4HomeAddressStatus

OURS = parse_address("203.0.113.7")
OTHER = parse_address("203.0.113.9")
PREFIX = parse_address("10.64.1.0")
STATIC = replace(SETTINGS, home_address_ipv4=OURS)
DYNAMIC = replace(SETTINGS, home_address_ipv4=UNSPECIFIED_IPV4)
ROUTER = replace(STATIC, mobile_prefix_length_ipv4=IPV4_BITS + 24)
GRANTED = Ipv4AddressAcknowledgement(0, OURS)
PREFIX_GRANTED = Ipv4AddressAcknowledgement(0, PREFIX, 24)


def refused(status: int, address: bytes = OURS) -> Ipv4AddressAcknowledgement:
    return Ipv4AddressAcknowledgement(status, address, 0)


def asked(driver: Driver) -> list[Ipv4HomeAddress]:
    return list(driver.updates()[-1][2].options_of(Ipv4HomeAddress))


def visited(settings: Any, *answers: Ipv4AddressAcknowledgement) -> Driver:
    driver = Driver(settings)
    driver.visit(1)
    driver.acknowledge(options=answers)
    return driver


def forwards(driver: Driver) -> set[bytes]:
    """The home addresses whose packets go into the tunnel, as the actions left it."""
    rows = set()
    for action in driver.actions:
        if isinstance(action, Forward):
            rows.add(action.address)
        elif isinstance(action, Unforward):
            rows.discard(action.address)
    return rows


def test_without_one_nothing_is_asked() -> None:
    driver = visited(SETTINGS)
    assert asked(driver) == []
    assert forwards(driver) == {HOME_ADDRESS}


def test_static_one_is_asked_for_by_name_and_goes_through_the_tunnel() -> None:
    driver = Driver(STATIC)
    assert HoldHomeAddress(OURS) in driver.actions
    driver.visit(1)
    assert asked(driver) == [Ipv4HomeAddress(OURS, 32)]
    assert forwards(driver) == {HOME_ADDRESS}
    driver.acknowledge(options=(GRANTED,))
    assert forwards(driver) == {HOME_ADDRESS, OURS}
    assert Accept(0, Direction.TO_HOME_ADDRESS, OURS, HOME_AGENT, 1) in driver.actions
    assert GoAway(OURS) in driver.actions
    assert driver.notices("ipv4_home_address_bound") == [{"home_address_ipv4": "203.0.113.7"}]


def test_dynamic_one_is_asked_for_and_named_from_then_on() -> None:
    driver = Driver(DYNAMIC)
    assert not any(action.address != HOME_ADDRESS for action in driver.of(HoldHomeAddress))
    driver.visit(1)
    assert asked(driver) == [Ipv4HomeAddress(UNSPECIFIED_IPV4, 32)]
    driver.acknowledge(options=(GRANTED,))
    assert HoldHomeAddress(OURS) in driver.actions and forwards(driver) == {HOME_ADDRESS, OURS}
    driver.down()
    driver.visit(2)
    assert asked(driver) == [Ipv4HomeAddress(OURS, 32)]


def test_dynamic_one_survives_a_restart() -> None:
    before = visited(DYNAMIC, GRANTED)
    driver = Driver(DYNAMIC, start=False)
    driver.time = before.time
    driver.node.restore(before.journal(), driver.now)
    driver.node.start(driver.now)
    driver.collect()
    assert forwards(driver) == {HOME_ADDRESS, OURS}
    driver.visit(1)
    assert asked(driver) == [Ipv4HomeAddress(OURS, 32)]


def test_another_one_granted_takes_the_place_of_the_first() -> None:
    driver = visited(DYNAMIC, GRANTED)
    driver.down()
    driver.visit(2)
    driver.acknowledge(options=(Ipv4AddressAcknowledgement(0, OTHER),))
    assert forwards(driver) == {HOME_ADDRESS, OTHER}
    assert DropHomeAddress(OURS) in driver.actions and HoldHomeAddress(OTHER) in driver.actions
    assert Unaccept(0, Direction.TO_HOME_ADDRESS, OURS, HOME_AGENT) in driver.actions


def test_named_one_that_is_refused_is_asked_anew_once() -> None:
    driver = visited(DYNAMIC, GRANTED)
    driver.down()
    driver.visit(2)
    driver.acknowledge(options=(refused(Ipv4HomeAddressStatus.INCORRECT_IPV4_HOME_ADDRESS),))
    assert DropHomeAddress(OURS) in driver.actions and forwards(driver) == {HOME_ADDRESS}
    driver.run(1.1)
    assert asked(driver) == [Ipv4HomeAddress(UNSPECIFIED_IPV4, 32)]
    driver.acknowledge(
        options=(refused(Ipv4HomeAddressStatus.DYNAMIC_IPV4_HOME_ADDRESS_ASSIGNMENT_NOT_AVAILABLE, UNSPECIFIED_IPV4),)
    )
    sent = len(driver.updates())
    driver.run(60)
    assert len(driver.updates()) == sent and driver.state is State.REGISTERED
    reasons = [fields["reason"] for fields in driver.notices("ipv4_home_address_refused")]
    assert reasons == ["incorrect_ipv4_home_address", "dynamic_ipv4_home_address_assignment_not_available"]


def test_static_one_that_is_refused_is_told_once_and_asked_for_with_every_update() -> None:
    driver = visited(STATIC, refused(Ipv4HomeAddressStatus.ADMINISTRATIVELY_PROHIBITED))
    assert driver.state is State.REGISTERED and forwards(driver) == {HOME_ADDRESS}
    assert DropHomeAddress(OURS) not in driver.actions
    driver.down()
    driver.visit(2)
    assert asked(driver) == [Ipv4HomeAddress(OURS, 32)]
    driver.acknowledge(options=(refused(Ipv4HomeAddressStatus.ADMINISTRATIVELY_PROHIBITED),))
    assert len(driver.notices("ipv4_home_address_refused")) == 1
    driver.down()
    driver.visit(1)
    driver.acknowledge(options=(GRANTED,))
    assert forwards(driver) == {HOME_ADDRESS, OURS}


def test_home_agent_that_knows_no_ipv4() -> None:
    driver = visited(STATIC)
    assert driver.state is State.REGISTERED and forwards(driver) == {HOME_ADDRESS}
    assert driver.notices("ipv4_home_address_refused") == [{"status": None, "reason": "not_answered"}]


def test_address_that_nobody_can_have_is_not_taken() -> None:
    for text in ("0.0.0.0", "127.0.0.1", "224.0.0.1", "169.254.1.1"):
        driver = visited(DYNAMIC, Ipv4AddressAcknowledgement(0, parse_address(text)))
        assert forwards(driver) == {HOME_ADDRESS}
    driver = visited(STATIC, Ipv4AddressAcknowledgement(0, OTHER))  # not the one that is ours
    assert forwards(driver) == {HOME_ADDRESS}


def test_prefix_beside_the_address() -> None:
    driver = Driver(ROUTER)
    driver.visit(1)
    assert asked(driver) == [Ipv4HomeAddress(OURS, 32), Ipv4HomeAddress(UNSPECIFIED_IPV4, 24, request_prefix=True)]
    driver.acknowledge(options=(GRANTED, PREFIX_GRANTED))
    assert HoldMobilePrefix(PREFIX, IPV4_BITS + 24) in driver.actions
    assert SetMobilePrefix(0, PREFIX, IPV4_BITS + 24, HOME_ADDRESS) in driver.actions
    assert driver.notices("ipv4_mobile_prefix_bound") == [{"prefix": "10.64.1.0/24"}]
    driver.down()
    driver.visit(2)
    assert asked(driver)[1] == Ipv4HomeAddress(PREFIX, 24, request_prefix=True)
    driver.acknowledge(options=(GRANTED, refused(Ipv4HomeAddressStatus.PREFIX_ALLOCATION_UNAUTHORIZED, PREFIX)))
    assert RemoveMobilePrefix(0, PREFIX, IPV4_BITS + 24) in driver.actions
    assert DropMobilePrefix(PREFIX, IPV4_BITS + 24) in driver.actions
    assert forwards(driver) == {HOME_ADDRESS, OURS}


def test_longer_prefix_than_asked_for_is_named_from_then_on() -> None:
    driver = visited(ROUTER, GRANTED, Ipv4AddressAcknowledgement(0, PREFIX, 28))
    assert HoldMobilePrefix(PREFIX, IPV4_BITS + 28) in driver.actions
    driver.down()
    driver.visit(2)
    assert asked(driver)[1] == Ipv4HomeAddress(PREFIX, 28, request_prefix=True)


def test_prefix_that_is_none_is_not_taken() -> None:
    for length in (0, 33, 63):
        driver = visited(ROUTER, GRANTED, Ipv4AddressAcknowledgement(0, PREFIX, length))
        assert driver.of(HoldMobilePrefix) == [] and forwards(driver) == {HOME_ADDRESS, OURS}
    driver = visited(ROUTER, GRANTED, Ipv4AddressAcknowledgement(0, OURS, 24))  # bits after the prefix
    assert driver.of(HoldMobilePrefix) == []


def test_length_of_the_home_network_in_the_answer_about_an_address() -> None:
    assert forwards(visited(STATIC, Ipv4AddressAcknowledgement(0, OURS, 24))) == {HOME_ADDRESS, OURS}


def test_refusals_of_both_are_told_apart_by_their_order() -> None:
    driver = visited(ROUTER, refused(128), refused(129, UNSPECIFIED_IPV4))
    assert driver.notices("ipv4_home_address_refused") and driver.notices("ipv4_mobile_prefix_refused")


def test_in_an_ipv4_network_too() -> None:
    driver = Driver(replace(DUAL_STACK, home_address_ipv4=OURS))
    driver.visit_ipv4(1)
    assert asked(driver) == [Ipv4HomeAddress(OURS, 32)]
    driver.acknowledge(options=(GRANTED,))
    assert forwards(driver) == {HOME_ADDRESS, OURS}


def test_at_home_it_is_on_the_home_link_where_that_has_its_network() -> None:
    driver = visited(STATIC, GRANTED)
    driver.down()
    driver.home()
    driver.happens(AddressAdded(2, OTHER, IPV4_BITS + 24, False), RouterAdded(2, parse_address("203.0.113.1")))
    driver.acknowledge()
    assert driver.state is State.HOME
    assert driver.of(GoHome)[-1] == GoHome(OURS, IPV4_BITS + 24, 2, parse_address("203.0.113.1"))
    assert forwards(driver) == set()
    driver.down()
    driver.visit(1)
    assert driver.of(GoAway)[-1] == GoAway(OURS)
    assert asked(driver) == [Ipv4HomeAddress(OURS, 32)]


def test_at_home_without_its_network_it_stays_where_it_is() -> None:
    driver = visited(STATIC, GRANTED)
    driver.down()
    driver.home()
    driver.acknowledge()
    assert driver.state is State.HOME
    assert all(action.address == HOME_ADDRESS for action in driver.of(GoHome))
    assert driver.updates()[-1][2].option(Ipv4HomeAddress) is None  # everything is removed with the binding


def test_stop_drops_it() -> None:
    driver = visited(ROUTER, GRANTED, PREFIX_GRANTED)
    driver.node.stop(driver.now)
    driver.collect()
    assert DropHomeAddress(OURS) in driver.actions and DropMobilePrefix(PREFIX, IPV4_BITS + 24) in driver.actions
    assert forwards(driver) == set()


def test_record_of_the_version_before_is_read() -> None:
    before = visited(SETTINGS)
    [(key, record)] = before.journal()
    old = record.replace(b'"version":3', b'"version":2')
    for name in (b"encapsulation", b"home_address_ipv4", b"mobile_prefix_ipv4"):
        start = old.index(b',"' + name)
        end = min(at for at in (old.find(b",", start + 1), old.find(b"}", start)) if at > 0)
        old = old[:start] + old[end:]
    assert b"ipv4" not in old
    saved = SavedEntry.decode(old)
    assert saved.care_of_address == care_of(1) and saved.home_address_ipv4 is None
    driver = Driver(STATIC, start=False)
    driver.time = before.time
    driver.node.restore([(key, old)], driver.now)
    driver.node.start(driver.now)
    driver.collect()
    assert driver.state is State.STRANDED and not driver.notices("journal_record_ignored")


def too_big(driver: Driver, inner: bytes, mtu: int = 1280) -> list[Packet]:
    """What the mobile node sends when its data plane, or a router, has this packet for too big in the tunnel."""
    tunnel = driver.node.machine.rows.tunnel
    assert tunnel is not None
    quoted = encode_packet(Packet(tunnel.local, tunnel.peer, UnknownPayload(4 if inner[0] >> 4 == 4 else 41, inner)))
    driver.clear()
    driver.receives(Packet(tunnel.local, tunnel.local, PacketTooBig(mtu, quoted)))
    return [packet for _, packet in driver.payloads(PacketTooBig) + driver.payloads(Icmpv4Message)]


def test_who_sends_too_much_into_the_tunnel_is_told() -> None:
    """This host's own programs, too: the kernel's MTU of the tunnel device ends at 1280, IPv4 must know less."""
    driver = visited(ROUTER, GRANTED, PREFIX_GRANTED)
    behind = PREFIX[:15] + b"\x05"
    for source in (OURS, behind):
        (sent,) = too_big(driver, encode_ipv4(source, OTHER, 6, bytes(1240), dont_fragment=True))
        assert (sent.source, sent.destination, sent.outer) == (OURS, source, None)
        assert isinstance(sent.payload, Icmpv4Message)
        assert (sent.payload.type, sent.payload.code, sent.payload.mtu) == (3, 4, 1240)
    (sent,) = too_big(driver, encode_packet(Packet(HOME_ADDRESS, care_of(7), UnknownPayload(6, bytes(1300)))))
    assert (sent.source, sent.destination) == (HOME_ADDRESS, HOME_ADDRESS)
    assert isinstance(sent.payload, PacketTooBig) and sent.payload.mtu == 1280


def test_what_goes_in_fragments_is_nobody_told_of() -> None:
    driver = visited(ROUTER, GRANTED, PREFIX_GRANTED)
    assert too_big(driver, encode_ipv4(OURS, OTHER, 6, bytes(1400))) == []
    assert too_big(driver, encode_packet(Packet(HOME_ADDRESS, care_of(7), UnknownPayload(6, bytes(1240))))) == []
    packet = encode_ipv4(OURS, OTHER, 6, bytes(1400), dont_fragment=True)
    assert sum(len(too_big(driver, packet)) for _ in range(200)) == 100
