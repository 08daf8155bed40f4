"""What the journal keeps: a home agent that is killed comes back with every binding it acknowledged."""

import struct
from dataclasses import replace

import pytest
from home_agent_driver import (
    CARE_OF,
    CARE_OF_2,
    HOME,
    KEY,
    OTHER_HOME,
    OTHER_KEY,
    REAL_LINK,
    SUBSCRIBERS,
    Driver,
    acknowledgement,
)

from unwired.core import home_agent
from unwired.core.binding_cache import UnreadableRecord, decode_record, encode_record, record_key
from unwired.core.binding_states import State
from unwired.core.door import ActionFailed, DefendAddress, Persist
from unwired.core.forwarding import Accept, Forward, Listen, SetTunnel
from unwired.core.settings import HomePrefix, Subscriber
from unwired.core.subscribers import Subscribers
from unwired.dataplane.table import MemoryTable
from unwired.wire.address import UNSPECIFIED, parse_address
from unwired.wire.rfc4285 import ntp_timestamp
from unwired.wire.rfc6275 import BindingStatus


def test_bindings_come_back_with_all_their_rows() -> None:
    driver = Driver(**REAL_LINK)
    driver.update(1, link_local=True)
    driver.pass_time(2)
    driver.update(1, 100, home=OTHER_HOME, key=OTHER_KEY, name=b"other@example.org", care_of=CARE_OF_2)
    driver.pass_time(2)
    before = driver.table.rows()
    defended = set(driver.defended)
    driver.table = MemoryTable()  # not even the table was kept: everything must be said again
    driver.restart(5)
    after = driver.table.rows()
    assert set(after.tunnels) == set(before.tunnels) and set(after.forwards) == set(before.forwards)
    assert set(after.accepts) == set(before.accepts) and set(after.listens) == set(before.listens)
    kinds = {type(action) for action in driver.log}
    assert {SetTunnel, Forward, Accept, Listen, DefendAddress} <= kinds and Persist not in kinds
    assert driver.defended == defended
    assert driver.engine.status()["entries"]["bound"] == 2


def test_rows_that_are_there_are_asked_for_little_by_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_agent, "AGAIN", 1)
    driver = Driver()
    driver.update(1)
    driver.update(1, home=OTHER_HOME, key=OTHER_KEY, name=b"other@example.org")
    driver.pass_time(5)
    before = driver.table.rows()
    driver.table.begin_adoption()
    driver.restart(rows_are_there=True)
    assert not driver.engine.is_settled
    answer = driver.update(2, care_of=CARE_OF_2)
    assert answer is not None
    assert answer.status == 0
    driver.pass_time(0.001)
    assert driver.engine.is_settled
    assert driver.table.sweep() == 0
    after = driver.table.rows()
    assert set(after.forwards) == set(before.forwards)
    assert driver.accepted_from() == {CARE_OF, CARE_OF_2}, "what is on its way from where it was is accepted"
    assert driver.tunnel_peer() == CARE_OF_2
    driver.pass_time(5)
    assert driver.accepted_from() == {CARE_OF_2}


def test_a_stop_before_all_rows_were_asked_for_leaves_none() -> None:
    driver = Driver()
    driver.update(1)
    driver.table.begin_adoption()
    driver.restart(rows_are_there=True)
    driver.engine.stop(driver.now)
    driver.settle()
    driver.pass_time(1)
    rows = driver.table.rows()
    assert (rows.forwards, rows.tunnels, rows.accepts) == ((), (), ())


def test_lifetime_goes_on_by_the_wall_clock() -> None:
    driver = Driver()
    driver.update(1, 25)
    driver.restart(60)
    assert driver.engine.bindings()[0]["ends_at"] == 1_800_000_100.0
    driver.pass_time(39)
    assert driver.tunnel_peer() == CARE_OF
    driver.pass_time(2)
    assert driver.tunnel_peer() is None and driver.journal == {}


def test_binding_that_ended_meanwhile_is_gone() -> None:
    driver = Driver()
    driver.update(1, 25)
    driver.table = MemoryTable()
    driver.restart(200)
    assert driver.tunnel_peer() is None
    driver.pass_time(1)
    assert driver.journal == {} and len(driver.cache) == 0


def test_clock_that_was_set_back_grants_no_more() -> None:
    driver = Driver()
    driver.update(1, 25)
    driver.now = driver.now._replace(wall=driver.now.wall - 1e6)
    driver.restart()
    driver.pass_time(101)
    assert driver.tunnel_peer() is None


def test_sequence_and_timestamp_are_kept() -> None:
    driver = Driver()
    packet = driver.packet(500)
    driver.receive(packet)
    driver.restart(1)
    replayed = acknowledgement(driver.receive(packet))
    assert replayed is not None and replayed.status == BindingStatus.MIPV6_ID_MISMATCH
    stale = driver.update(499)
    assert stale is not None and (stale.status, stale.sequence) == (135, 500)
    answer = driver.update(501)
    assert answer is not None and answer.status == 0
    assert driver.engine.counters["bindings_refreshed"] == 1


def test_replay_after_deregistration_and_restart_is_refused() -> None:
    driver = Driver()
    packet = driver.packet(1)
    driver.receive(packet)
    driver.pass_time(1)
    driver.update(2, 0, from_home=True)
    driver.restart(1)
    assert driver.tunnel_peer() is None
    answer = acknowledgement(driver.receive(packet))
    assert answer is not None and answer.status == BindingStatus.MIPV6_ID_MISMATCH
    delayed = driver.update(1)
    assert delayed is not None and delayed.status == 135
    driver.pass_time(20)
    assert driver.journal == {}


def test_replay_after_expiry_and_restart_is_refused() -> None:
    driver = Driver()
    packet = driver.packet(1, 1, timestamp=ntp_timestamp(driver.now.wall + 6.5))
    driver.receive(packet)
    driver.pass_time(5)
    driver.restart(1)
    answer = acknowledgement(driver.receive(packet))
    assert answer is not None and answer.status == BindingStatus.MIPV6_ID_MISMATCH


def test_binding_that_the_host_could_not_make_true_does_not_come_back() -> None:
    driver = Driver()
    packet = driver.packet(1, timestamp=ntp_timestamp(driver.now.wall + 6))
    driver.receive(packet)
    driver.engine.handle(ActionFailed(driver.table.rows().forwards[0], "map full"), driver.now)
    driver.settle()
    driver.restart(1)
    assert driver.tunnel_peer() is None
    answer = acknowledgement(driver.receive(packet))
    assert answer is not None and answer.status == BindingStatus.MIPV6_ID_MISMATCH


def test_what_was_not_acknowledged_may_be_lost_and_nothing_else() -> None:
    driver = Driver()
    driver.update(1)
    driver.pass_time(1)
    driver.writes = False
    assert driver.update(2, care_of=CARE_OF_2) is None
    driver.writes = True
    driver.restart(1)
    assert driver.tunnel_peer() == CARE_OF
    answer = driver.update(3, care_of=CARE_OF_2)
    assert answer is not None and answer.status == 0


def test_tunnel_numbers_are_kept_and_not_given_twice() -> None:
    driver = Driver()
    driver.update(1, home=OTHER_HOME, key=OTHER_KEY, name=b"other@example.org")
    driver.update(1)
    driver.pass_time(1)
    driver.update(2, 0, home=OTHER_HOME, key=OTHER_KEY, name=b"other@example.org")
    driver.pass_time(20)
    driver.restart()
    assert [binding["tunnel"] for binding in driver.engine.bindings()] == [2]
    driver.update(9, home=OTHER_HOME, key=OTHER_KEY, name=b"other@example.org")
    assert sorted(binding["tunnel"] for binding in driver.engine.bindings()) == [2, 3]


def test_clean_stop_and_start() -> None:
    driver = Driver(**REAL_LINK)
    driver.update(1)
    driver.pass_time(2)
    driver.restart(1, killed=False)
    assert driver.tunnel_peer() == CARE_OF and driver.defended == {HOME}


def test_binding_of_a_subscriber_who_left_is_forgotten() -> None:
    driver = Driver()
    driver.update(1)
    driver.subscribers = Subscribers(SUBSCRIBERS[1:])
    driver.table = MemoryTable()
    driver.restart()
    assert driver.tunnel_peer() is None and driver.journal == {}
    assert "binding_disowned" in driver.notice_names()


def test_binding_of_a_prefix_that_left_is_forgotten() -> None:
    driver = Driver()
    driver.update(1)
    driver.settings = replace(driver.settings, home_prefixes=(HomePrefix(parse_address("2001:db8:200::"), 64),))
    driver.table = MemoryTable()
    driver.restart()
    assert driver.tunnel_peer() is None and driver.journal == {}


def test_records_of_others_and_unreadable_ones() -> None:
    driver = Driver()
    driver.update(1)
    key, record = record_key(HOME), driver.journal[record_key(HOME)]
    driver.journal = {
        b"mobile_node:whatever": b"not ours",
        record_key(OTHER_HOME): b"\x09from the future",
        key: record,
        key[:-1]: record,
        record_key(HOME[:-1] + b"\x01"): b"",
        record_key(HOME[:-1] + b"\x02"): record[:-1],
        record_key(HOME[:-1] + b"\x03"): record[:1] + b"\x01" + record[2:],
    }
    driver.notices.clear()
    driver.restart()
    assert driver.tunnel_peer() == CARE_OF
    assert driver.notice_names().count("record_unreadable") == 5
    assert b"mobile_node:whatever" in driver.journal and record_key(OTHER_HOME) in driver.journal


def test_record_is_compact_and_round_trips() -> None:
    driver = Driver()
    driver.update(7, 30)
    binding = driver.cache.get(HOME)
    assert binding is not None
    record = encode_record(binding, driver.now)
    assert len(record) <= 72
    again, primary = decode_record(record_key(HOME), record, driver.now)
    assert primary == UNSPECIFIED
    for name in (
        "home_address",
        "care_of_address",
        "state",
        "sequence",
        "lifetime_units",
        "timestamp",
        "tunnel",
        "version",
    ):
        assert getattr(again, name) == getattr(binding, name), name
    assert again.ends_at == pytest.approx(binding.ends_at)
    not_a_time = record[:15] + struct.pack("!d", float("nan")) + record[23:]
    with pytest.raises(UnreadableRecord):
        decode_record(record_key(HOME), not_a_time, driver.now)
    assert again.state is State.BOUND


def test_key_change_needs_no_new_binding() -> None:
    driver = Driver()
    driver.update(1)
    other = KEY.__class__(400, b"new key of 16 by")
    driver.subscribers = Subscribers((Subscriber(b"mn@example.org", HOME, (other,)),))
    driver.restart(1)
    assert driver.tunnel_peer() == CARE_OF
    answer = driver.update(2, key=other)
    assert answer is not None and answer.status == 0
