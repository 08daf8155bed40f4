"""Home Agent Switch: what is sent, when it is repeated, and how many are under way at once."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from set_driver import Node, World, member

from unwired.core.authentication import is_authentic
from unwired.core.binding_cache import Binding
from unwired.core.binding_states import State
from unwired.core.door import Now
from unwired.core.home_agent_set import Load
from unwired.core.home_agent_switch import TRANSMISSIONS, SwitchSender
from unwired.core.settings import Algorithm, SecurityAssociation
from unwired.core.switch_pacing import WINDOW_FIRST, Pace
from unwired.wire.address import parse_address
from unwired.wire.ipv6 import Packet, decode_packet, encode_packet
from unwired.wire.rfc4283 import MobileNodeIdentifier
from unwired.wire.rfc4285 import MessageId, MobilityMessageAuthentication, wall_time
from unwired.wire.rfc5142 import HomeAgentSwitch

KEY = SecurityAssociation(256, bytes(range(16)))
NAME = b"mn@example.org"
SOURCE = member(1).address


def binding(number: int = 1) -> Binding:
    made = Binding((parse_address("2001:200:a000::1000:0")[:12]) + number.to_bytes(4))
    made.state = State.BOUND
    made.care_of_address = parse_address("2001:db8:ffff::")[:12] + number.to_bytes(4)
    made.primary = 1
    return made


class Office:
    """Member 1 sends; member 2 is the target, whose room is ``room``."""

    def __init__(self, room: int = 1000) -> None:
        self.world = World(2)
        self.world.start_all()
        self.node: Node = self.world.nodes[1]
        self.room(room)
        self.world.run(0.1)
        self.under_way: dict[bytes, float] = {}

    @property
    def switches(self) -> SwitchSender:
        return self.node.switches

    @property
    def counters(self) -> dict[str, int]:
        return self.node.outbox.counters

    def room(self, room: int) -> None:
        self.world.nodes[2].members.load = lambda: Load(room=room)

    def ask(self, one: Binding, target: int = 2, source: bytes = SOURCE) -> bool:
        asked = self.switches.request(one, KEY, NAME, source, target, self.world.now)
        self.world.settle(self.node)
        return asked

    def complete(self, home_address: bytes) -> None:
        self.switches.completed(home_address, self.world.now)
        self.world.settle(self.node)

    def asked(self) -> list[bytes]:
        """The home addresses of what was sent since the last call."""
        sent = [packet.routing_home_address for packet in self.node.sent]
        self.node.sent.clear()
        return [address for address in sent if address is not None]


# --- the message ---


def received(packet: Packet) -> Packet:
    return decode_packet(encode_packet(packet))


def test_message_names_the_target_and_is_authentic() -> None:
    office = Office()
    one = binding()
    assert office.ask(one)
    (packet,) = office.node.sent
    packet = received(packet)
    assert (packet.source, packet.destination) == (SOURCE, one.care_of_address)
    assert packet.routing_home_address == one.home_address
    message = packet.payload
    assert isinstance(message, HomeAgentSwitch)
    assert message.addresses == (member(2).address,)
    assert message.option(MobileNodeIdentifier) == MobileNodeIdentifier(NAME)
    assert isinstance(message.options[-1], MobilityMessageAuthentication)
    assert is_authentic(message.options[-1], packet.data, KEY, one.care_of_address, one.home_address)
    timestamp = message.option(MessageId)
    assert timestamp is not None
    assert wall_time(timestamp.timestamp) == pytest.approx(office.world.now.wall, abs=0.001)


def test_longer_authenticators_and_no_name() -> None:
    office = Office()
    one, association = binding(), SecurityAssociation(300, bytes(32), Algorithm.HMAC_SHA256)
    assert office.switches.request(one, association, None, SOURCE, 2, office.world.now)
    office.world.settle(office.node)
    packet = received(office.node.sent[0])
    message = packet.payload
    assert isinstance(message, HomeAgentSwitch)
    assert message.option(MobileNodeIdentifier) is None
    option = message.option(MobilityMessageAuthentication)
    assert option is not None
    assert is_authentic(option, packet.data, association, one.care_of_address, one.home_address)


def test_without_an_association_nothing_is_pretended() -> None:
    office = Office()
    assert office.switches.request(binding(), None, None, SOURCE, 2, office.world.now)
    office.world.settle(office.node)
    assert received(office.node.sent[0]).payload == HomeAgentSwitch((member(2).address,))


def test_timestamps_only_grow_even_when_the_clock_is_set_back() -> None:
    office = Office()
    timestamps = []
    for number in range(5):
        assert office.ask(binding(number))
        office.world.now = Now(office.world.now.monotonic, office.world.now.wall - 100)
    for packet in office.node.sent:
        message = packet.payload
        assert isinstance(message, HomeAgentSwitch)
        timestamp = message.option(MessageId)
        assert timestamp is not None
        timestamps.append(timestamp.timestamp)
    assert all(before < after for before, after in pairwise(timestamps))


# --- one mobile node ---


def test_it_is_repeated_with_longer_pauses_and_then_no_more() -> None:
    office = Office()
    one, begin = binding(), office.world.now.monotonic
    office.ask(one)
    times = []
    for _ in range(2000):
        if office.asked():
            times.append(round(office.world.now.monotonic - begin))
        office.world.run(0.1)
    assert times == [0, 5, 15, 35, 55]
    assert len(times) == TRANSMISSIONS
    assert office.counters["home_agent_switches_unanswered"] == 1
    assert len(office.switches) == 0
    assert office.ask(one), "nothing is concluded from silence: it may be asked again"
    assert office.asked() == [one.home_address]


def test_it_is_not_repeated_once_completed() -> None:
    office = Office()
    one = binding()
    office.ask(one)
    office.complete(one.home_address)
    office.complete(one.home_address)
    office.world.run(100.0)
    assert office.asked() == [one.home_address]
    assert office.counters["home_agent_switches_completed"] == 1
    assert len(office.switches) == 0


def test_the_same_request_again_is_one_request() -> None:
    office = Office()
    one = binding()
    assert office.ask(one) and office.ask(one)
    assert office.asked() == [one.home_address]
    assert len(office.switches) == 1


def test_only_bound_ones_and_only_to_members_that_are_up() -> None:
    office = Office()
    one = binding()
    assert not office.ask(one, target=9)
    one.state = State.DELETED
    assert not office.ask(one)
    one.state = State.BOUND
    office.world.kill(2)
    office.world.run(1.0)
    assert not office.ask(one)
    assert office.ask(one, target=1, source=member(2).address), "we ourselves are, in the dead one's place"
    packet = office.node.sent[-1]
    assert packet.source == member(2).address
    assert isinstance(packet.payload, HomeAgentSwitch) and packet.payload.addresses == (member(1).address,)


def test_in_the_place_of_a_member_that_is_back_nothing_is_repeated() -> None:
    office = Office()
    office.world.kill(2)
    office.world.run(1.0)
    office.ask(binding(), target=1, source=member(2).address)
    office.asked()
    office.world.start(2)
    office.world.run(100.0)
    assert office.asked() == []
    assert office.counters["home_agent_switches_abandoned"] == 1
    assert len(office.switches) == 0


def test_another_target_takes_the_place_of_one_that_was_not_sent() -> None:
    office = Office(room=0)
    one = binding()
    office.world.run(0.1)
    assert office.ask(one)
    assert office.asked() == []
    assert office.ask(one, target=1)
    office.room(1000)
    office.world.run(1.0)
    assert office.asked() == [one.home_address]
    assert len(office.switches) == 1


def test_who_was_asked_for_one_target_is_not_asked_for_another_while_that_is_up() -> None:
    office = Office()
    one = binding()
    assert office.ask(one)
    assert office.ask(one, target=1)
    assert len(office.asked()) == 1
    office.world.kill(2)
    office.world.run(1.0)
    assert office.ask(one, target=1)
    assert len(office.asked()) == 1


def test_what_is_given_up_for_another_target_is_under_way_no_more() -> None:
    office = Office()
    one = binding()
    office.ask(one)
    office.world.kill(2)
    office.world.run(1.0)
    office.ask(one, target=1)
    assert office.switches._paces[2].under_way == 0
    assert office.switches._paces[1].under_way == 1
    office.world.run(100.0)
    assert office.switches._paces[1].under_way == 0


def test_too_many_requests_are_refused_and_counted() -> None:
    office = Office(room=0)
    office.world.run(0.1)
    office.node.members.bindings_max = 10
    given = [office.ask(binding(number)) for number in range(15)]
    assert given == [True] * 10 + [False] * 5
    assert office.counters["home_agent_switches_refused"] == 5


# --- pacing ---


def test_window_grows_only_while_it_limits_and_halves_once_for_one_reason() -> None:
    pace = Pace()
    for _ in range(WINDOW_FIRST):
        assert pace.may_send(1000)
        pace.sent()
    assert not pace.may_send(1000)
    pace.completed()
    assert pace.window == WINDOW_FIRST + 1
    pace.completed()
    assert pace.window == WINDOW_FIRST + 1
    for _ in range(3):
        pace.timed_out(100.0)
    assert pace.window == (WINDOW_FIRST + 1) // 2
    for when in range(101, 110):
        pace.halve(when)
    assert pace.window == 1
    assert not pace.may_send(0)


def test_a_target_without_room_is_left_alone_until_it_has_some() -> None:
    office = Office(room=0)
    office.world.run(0.1)
    for number in range(100):
        office.ask(binding(number))
    office.world.run(10.0)
    assert office.asked() == []
    office.room(3)
    office.world.run(0.2)
    assert len(office.asked()) == 1, "the window was halved while there was no room"


def test_own_room_counts_when_we_are_the_target() -> None:
    office = Office()
    office.world.kill(2)
    office.world.run(1.0)
    office.node.members.load = lambda: Load(room=2)
    for number in range(10):
        office.ask(binding(number), target=1, source=member(2).address)
    assert len(office.asked()) == 2
    office.node.members.load = lambda: Load(room=5)
    office.world.run(0.1)
    assert len(office.asked()) == 3


class Target:
    """Answers after ``delay_s``, but not every mobile node; its room is at times small or none."""

    def __init__(self, office: Office, delay_s: float, deaf: frozenset[bytes]) -> None:
        self.office = office
        self.delay_s = delay_s
        self.deaf = deaf
        self.answers: list[tuple[float, bytes]] = []
        self.under_way: dict[bytes, float] = {}
        self.most = 0

    def step(self) -> None:
        office, now = self.office, self.office.world.now.monotonic
        for home_address in [address for when, address in self.answers if when <= now]:
            office.complete(home_address)
            self.under_way.pop(home_address, None)
        self.answers = [item for item in self.answers if item[0] > now]
        # What was not answered for longer than the first timeout is under way no more.
        self.under_way = {address: when for address, when in self.under_way.items() if now - when < 4.9}
        room = office.node.members.room(2)
        before = len(self.under_way)
        for home_address in office.asked():
            self.under_way[home_address] = now
            if home_address not in self.deaf:
                self.answers.append((now + self.delay_s, home_address))
        if len(self.under_way) > before:
            assert len(self.under_way) <= room
            assert len(self.under_way) <= office.switches._paces[2].window
        self.most = max(self.most, len(self.under_way))
        office.world.run(0.05)


@given(
    st.integers(1, 300),
    st.lists(st.integers(0, 60), min_size=1, max_size=10),
    st.floats(0.01, 2.0),
    st.sets(st.integers(0, 300), max_size=5),
)
@settings(max_examples=15, deadline=None)
def test_never_more_than_window_and_room_and_all_in_the_end(
    number: int, rooms: list[int], delay_s: float, deaf: set[int]
) -> None:
    office = Office(room=rooms[0])
    office.world.run(0.1)
    bindings = [binding(one) for one in range(number)]
    silent = frozenset(bindings[one].home_address for one in deaf if one < number)
    target = Target(office, delay_s, silent)
    for one in bindings:
        assert office.ask(one)
    for room in rooms:
        office.room(room)
        for _ in range(20):
            target.step()
    office.room(50)
    for _ in range(10_000):
        if not len(office.switches):
            break
        target.step()
    assert len(office.switches) == 0
    assert office.counters["home_agent_switches_completed"] == number - len(silent)
    assert office.counters["home_agent_switches_unanswered"] == len(silent)
    pace = office.switches._paces[2]
    assert pace.under_way == 0


def test_many_bindings_take_linear_time_and_little_waiting() -> None:
    """A hundred thousand mobile nodes that answer at once: every one is asked once."""
    office = Office(room=1_000_000)
    office.world.run(0.1)
    number = 100_000
    for one in range(number):
        office.switches.request(binding(one), None, None, SOURCE, 2, office.world.now)
    office.world.settle(office.node)
    asked = 0
    while waiting := office.asked():
        asked += len(waiting)
        for home_address in waiting:
            office.switches.completed(home_address, office.world.now)
        office.world.settle(office.node)
    assert asked == number
    assert len(office.switches) == 0
