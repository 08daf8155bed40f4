"""Every state meets every input; random peers raise nothing; what was acknowledged survives."""

from pathlib import Path
from typing import Any

import pytest
from home_agent_driver import (
    CARE_OF,
    CARE_OF_2,
    CORRESPONDENT,
    HOME,
    HOME_AGENT,
    HOME_LINK,
    KEY,
    OTHER_HOME,
    OTHER_KEY,
    REAL_LINK,
    SUBSCRIBERS,
    Driver,
    acknowledgement,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from unwired.core.binding_cache import encode_record
from unwired.core.binding_states import HAS_SEQUENCE, TABLE, TRANSITIONS, Input, State, Step
from unwired.core.door import ActionFailed, Persisted, Send
from unwired.core.registration import Registrar
from unwired.core.state_diagram import mermaid
from unwired.wire.address import ALL_NODES, UNSPECIFIED
from unwired.wire.errors import DecodeError
from unwired.wire.icmpv6 import NeighborAdvertisement, NeighborSolicitation
from unwired.wire.ipv6 import Packet, decode_packet, encode_packet
from unwired.wire.rfc4285 import MessageId, ntp_timestamp
from unwired.wire.rfc6275 import BindingAcknowledgement, BindingStatus, BindingUpdate

QUIET_LINK = REAL_LINK | {"advertisement_interval_min_s": 1e6, "advertisement_interval_max_s": 1e6}

# --- the table ---

ALONE = [event for event in Input if event < Input.DEREGISTER_ELSEWHERE]
"""What happens to a home agent without a set; the rest is in test_home_agent_set_states.py."""


def driver_in(state: State, real: bool) -> Driver:
    """A home agent in which HOME is in this state, reached by what a peer does."""
    driver = Driver(**(QUIET_LINK if real else {}))
    if state == State.ABSENT:
        return driver
    if state == State.REMEMBERED:
        driver.update(1, 1, timestamp=ntp_timestamp(driver.now.wall + 6.5))
        driver.pass_time(6 if real else 5)
    else:
        driver.update(1)
        if state != State.DETECTING:
            driver.pass_time(1.5)
        if state == State.DELETED:
            driver.update(2, 0, from_home=True)
            driver.pass_time(1)
    binding = driver.cache.get(HOME)
    assert binding is not None and binding.state == state
    return driver


def apply(driver: Driver, event: Input) -> None:
    registrar: Registrar = driver.engine._registrar
    timestamp = ntp_timestamp(driver.now.wall + 6.9)
    binding = driver.cache.get(HOME)
    if event in (Input.REGISTER, Input.REGISTER_ON_LINK):
        registrar._register = event
        driver.update(10, timestamp=timestamp)
    elif event == Input.DEREGISTER:
        driver.update(10, 0, timestamp=timestamp)
    elif event == Input.UNIQUE:
        driver.engine.home_link.unique(HOME, driver.now)
    elif event == Input.DUPLICATE:
        driver.engine.home_link.duplicate(HOME, driver.now)
    elif binding is not None:
        registrar.happen(binding, event, driver.now)
    driver.settle()


@pytest.mark.parametrize("event", ALONE)
@pytest.mark.parametrize(
    ("state", "real"),
    [(state, real) for state in State for real in (False, True) if real or state != State.DETECTING],
)
def test_every_state_meets_every_input(state: State, event: Input, real: bool) -> None:
    driver = driver_in(state, real)
    driver.sent.clear()
    apply(driver, event)
    step, following = TABLE[state][event]
    binding = driver.cache.get(HOME)
    now = State.ABSENT if binding is None else binding.state
    # What need not be remembered is forgotten at once.
    assert now == following or (following == State.REMEMBERED and now == State.ABSENT)
    answers = [a.packet.payload for a in driver.sent if isinstance(a.packet.payload, BindingAcknowledgement)]
    answered = event in (Input.REGISTER, Input.REGISTER_ON_LINK, Input.DEREGISTER, Input.UNIQUE, Input.DUPLICATE)
    assert len(answers) == (answered and step not in (Step.IGNORE, Step.DETECT, Step.TAKE_NEWER))
    assert (driver.tunnel_peer() is not None) is (now == State.BOUND)
    assert driver.cache.in_use == (now in (State.BOUND, State.DETECTING))
    # And whatever happened, the mobile node can register afterwards.
    driver.engine._registrar._register = Input.REGISTER_ON_LINK if real else Input.REGISTER
    driver.pass_time(8)
    driver.update(20)
    driver.pass_time(2)
    assert driver.tunnel_peer() == CARE_OF


def test_table_is_complete_and_draws_itself() -> None:
    assert {(state, event) for state in State for event in Input} >= set(TRANSITIONS)
    assert all(len(row) == len(Input) for row in TABLE)
    reachable = {State.ABSENT}
    while more := {TABLE[state][event][1] for state in reachable for event in Input} - reachable:
        reachable |= more
    assert reachable == set(State)
    assert State.BOUND in HAS_SEQUENCE
    diagram = mermaid(State.ABSENT, TRANSITIONS)
    assert diagram.count("->") == len(TRANSITIONS) + 1
    document = (Path(__file__).parents[2] / "docs" / "home-agent.md").read_text()
    assert f"```mermaid\n{diagram}```" in document, "draw it again: state_diagram.mermaid(State.ABSENT, TRANSITIONS)"


# --- random bytes and random peers ---


@given(st.binary(max_size=200), st.integers(0, 8))
@settings(max_examples=300)
def test_random_bytes_after_an_ipv6_header_raise_nothing(payload: bytes, interface: int) -> None:
    driver = Driver(**QUIET_LINK)
    for protocol in (135, 58, 60, 43, 41):
        header = b"\x60\0\0\0" + len(payload).to_bytes(2) + bytes((protocol, 255)) + CORRESPONDENT + HOME_AGENT
        try:
            packet = decode_packet(header + payload)
        except DecodeError:
            continue
        for checksum_ok in (True, packet.checksum_ok):
            object.__setattr__(packet, "checksum_ok", checksum_ok)
            driver.engine.receive(packet, interface, driver.now)
            driver.settle()


@given(st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_mutated_updates_raise_nothing_and_bind_nobody_else(data: st.DataObject) -> None:
    driver = Driver(insecure=data.draw(st.booleans()))
    raw = bytearray(encode_packet(driver.packet(1)))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(6, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        packet = decode_packet(bytes(raw))
    except DecodeError:
        return
    object.__setattr__(packet, "checksum_ok", True)
    driver.engine.receive(packet, HOME_LINK, driver.now)
    driver.settle()
    assert {binding.home_address for binding in driver.cache} <= {HOME, OTHER_HOME}


class Peers(RuleBasedStateMachine):
    """Two mobile nodes, an eavesdropper who replays, a home agent that is killed at any moment."""

    real = False

    def __init__(self) -> None:
        super().__init__()
        self.driver = Driver(**(QUIET_LINK if self.real else {}))
        self.acknowledged: dict[bytes, tuple[bytes, float]] = {}
        self.unsettled: set[bytes] = set()
        self.recorded: list[Packet] = []
        self.driver.watch = self._sent

    def _sent(self, action: Send) -> None:
        packet, answer = action.packet, action.packet.payload
        if not isinstance(answer, BindingAcknowledgement):
            return
        home = packet.routing_home_address or packet.destination
        if answer.status == BindingStatus.DUPLICATE_ADDRESS_DETECTION_FAILED:
            self.unsettled.discard(home)
        elif answer.status < 128:
            self.unsettled.discard(home)
            self.acknowledged.pop(home, None)
            binding = self.driver.cache.get(home)
            if answer.lifetime_units and binding is not None and binding.state == State.BOUND:
                # A lifetime counts from the update, and the disk may have been slow since.
                self.acknowledged[home] = (binding.care_of_address, binding.ends_at)

    @rule(
        who=st.sampled_from((0, 1)),
        sequence=st.integers(0, 65535),
        lifetime=st.sampled_from((0, 1, 3, 60, 65535)),
        care_of=st.sampled_from((CARE_OF, CARE_OF_2, HOME, OTHER_HOME, HOME_AGENT)),
        change=st.sampled_from(("", "", "", "", "key", "timestamp", "from_home", "link_local")),
    )
    def update(self, who: int, sequence: int, lifetime: int, care_of: bytes, change: str) -> None:
        subscriber, key = SUBSCRIBERS[who], (KEY, OTHER_KEY)[who]
        options: dict[str, Any] = {"home": subscriber.home_address, "name": subscriber.identifier, "key": key}
        if change == "key":
            options["key"] = (OTHER_KEY, KEY)[who]
        elif change == "timestamp":
            options["timestamp"] = ntp_timestamp(self.driver.now.wall + 60)
        elif change:
            options[change] = True
        packet = self.driver.packet(sequence, lifetime, care_of=care_of, **options)
        self.recorded.append(packet)
        self._hand_in(packet, subscriber.home_address)

    def _hand_in(self, packet: Packet, home: bytes) -> None:
        """An update that is answered at once changes nothing, or what the answer says; else its effect is open."""
        settled = home not in self.unsettled
        self.unsettled.add(home)
        answered = acknowledgement(self.driver.receive(packet, HOME_LINK if self.real else 1)) is not None
        if settled and answered and not self.driver.engine.home_link.detections:
            self.unsettled.discard(home)

    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        if not self.recorded:
            return
        packet = data.draw(st.sampled_from(self.recorded))
        home = packet.home_address or packet.source
        message = packet.payload
        assert isinstance(message, BindingUpdate)
        identification = message.option(MessageId)
        binding = self.driver.cache.get(home)
        old = binding is not None and identification is not None and identification.timestamp <= binding.timestamp
        before = encode_record(binding, self.driver.now) if binding is not None else None
        self._hand_in(packet, home)
        if old and binding is not None:
            assert encode_record(binding, self.driver.now) == before, "a replayed update changed the binding"

    @rule(seconds=st.sampled_from((0.001, 0.3, 1.1, 2.0, 5.0, 12.0, 100.0)))
    def time(self, seconds: float) -> None:
        self.driver.pass_time(seconds)

    @rule(solicitation=st.booleans(), whose=st.sampled_from((HOME, OTHER_HOME)))
    def neighbour(self, solicitation: bool, whose: bytes) -> None:
        message = NeighborSolicitation(whose) if solicitation else NeighborAdvertisement(whose)
        source = UNSPECIFIED if solicitation else CORRESPONDENT
        self.driver.receive(Packet(source, ALL_NODES, message, hop_limit=255), HOME_LINK)

    @rule()
    def disk_is_slow(self) -> None:
        self.driver.writes = not self.driver.writes
        if self.driver.writes and self.driver.unwritten:
            self.driver.write()
            self.driver.settle()

    @rule(seconds=st.sampled_from((0.0, 1.0, 30.0)), killed=st.booleans())
    def restart(self, seconds: float, killed: bool) -> None:
        self.driver.table = type(self.driver.table)()
        self.driver.writes = True
        self.driver.restart(seconds, killed)
        self.driver.pass_time(0)
        self.unsettled.clear()

    @rule()
    def nonsense_from_the_host(self) -> None:
        self.driver.engine.handle(Persisted(0), self.driver.now)
        self.driver.engine.handle(ActionFailed(Persisted(1), "?"), self.driver.now)  # type: ignore[arg-type]
        self.driver.settle()

    @invariant()
    def acknowledged_bindings_are_there(self) -> None:
        now = self.driver.now.monotonic
        for home in (HOME, OTHER_HOME):
            if home in self.unsettled:
                continue
            care_of, ends_at = self.acknowledged.get(home, (None, 0.0))
            if care_of is not None and ends_at > now:
                assert self.driver.tunnel_peer(home) == care_of
                assert care_of in self.driver.accepted_from(home)
            elif care_of is None or ends_at + 1.0 < now:
                binding = self.driver.cache.get(home)
                if binding is None or binding.state != State.DETECTING:
                    assert self.driver.tunnel_peer(home) is None

    @invariant()
    def books_balance(self) -> None:
        cache = self.driver.cache
        assert cache.in_use == sum(binding.state in (State.BOUND, State.DETECTING) for binding in cache)
        rows = self.driver.table.rows()
        bound = {binding.home_address for binding in cache if binding.state == State.BOUND}
        assert {row.address for row in rows.forwards} == bound
        assert {row.tunnel for row in rows.forwards} <= {tunnel.number for tunnel in rows.tunnels}
        assert len(rows.tunnels) <= 2
        if self.real:
            assert self.driver.defended >= bound


class PeersOnARealLink(Peers):
    real = True


Peers.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None, derandomize=True)
PeersOnARealLink.TestCase.settings = Peers.TestCase.settings
TestPeers = Peers.TestCase
TestPeersOnARealLink = PeersOnARealLink.TestCase
