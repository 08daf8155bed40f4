"""Announcing by a real BIRD to a real BIRD, and what becomes of it when one of the processes dies."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from site_network import HOME, NEIGHBOR, Daemon, Site, eventually, managed, site

from unwired.plane.bgp import Announcement, BgpConfig, BgpMode, BgpNeighbor
from unwired.wire.address import parse_address

pytestmark = pytest.mark.root


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        made.start_router()
        yield made


def established(daemon: Daemon) -> dict[str, Any]:
    return daemon.status_when(established_in, "established")


def established_in(status: dict[str, Any]) -> bool:
    return [session["state"] for session in status["sessions"]] == ["Established"]


def test_announced_and_withdrawn(here: Site) -> None:
    daemon = here.daemon(managed())
    status = established(daemon)
    assert status["mode"] == "managed" and status["prefixes"] == [HOME] and not status["announced"]
    assert status["sessions"][0]["neighbor"] == "2001:db8:1::1" and status["sessions"][0]["as"] == 2497
    assert not here.route()
    daemon.say("announce")
    route = here.sees("BGP.as_path: 4690\n", "BGP.community: (4690,100)", "BGP.large_community: (4690, 1, 2)")
    assert "2001:db8:1::2" in route and "(65535,0)" not in route
    assert "Role: customer" in here.ask("show", "protocols", "all", "agent")
    assert daemon.status_when(lambda status: status["announced"], "announced")["state"] == "announced"
    assert "unreachable" in here.marked()
    daemon.say("withdraw")
    here.misses()
    assert not here.marked()
    daemon.say("stop")
    assert not (here.runtime / "bgp").exists()
    assert daemon.say("status") == {"announced": False, "sessions": [], "problems": []}


def test_an_ipv4_prefix_beside(here: Site) -> None:
    """Announced to the router's IPv4 address, drained and withdrawn with the IPv6 prefix."""
    home = "203.0.113.0/24"
    one = managed(neighbors=(NEIGHBOR, BgpNeighbor(parse_address("192.0.2.1"), 2497)), drain_time_s=3.0)
    daemon = here.daemon(Announcement((*one.prefixes, (parse_address("203.0.113.0"), 96 + 24)), one.bgp))
    daemon.status_when(
        lambda status: [session["state"] for session in status["sessions"]] == ["Established"] * 2, "established"
    )
    assert not here.route(home)
    daemon.say("announce")
    here.sees("BGP.as_path: 4690\n", "(4690,100)")
    assert "192.0.2.2" in here.sees("BGP.as_path: 4690\n", "(4690,100)", prefix=home)
    assert daemon.say("status")["prefixes"] == [HOME, home] and "unreachable" in here.marked(home)
    daemon.say("drain")
    here.sees("(65535,0)")
    here.sees("(65535,0)", prefix=home)
    here.misses(home)
    here.misses()
    assert not here.marked(home)
    daemon.say("stop")


def test_other_kernel_routes_stay_and_are_not_announced(here: Site) -> None:
    """Those of another BIRD, too, which a BIRD takes for its own leftovers; nor does a marked route to somewhere else
    count."""
    here.agent.ip(
        "route add 2001:db8:5::/48 dev a0 proto bird metric 32",
        "route add unreachable 2001:db8:6::/48 proto 79 metric 1000000",
    )
    before = here.agent.run("ip -6 route")
    daemon = here.daemon(managed())
    established(daemon)
    daemon.say("announce")
    here.sees()
    assert not here.route("2001:db8:5::/48") and not here.route("2001:db8:6::/48")
    daemon.say("withdraw")
    here.misses()
    assert here.agent.run("ip -6 route") == before
    daemon.say("stop")
    assert here.agent.run("ip -6 route") == before


def test_graceful_withdrawal_is_the_least_preferred_way_first(here: Site) -> None:
    daemon = here.daemon(managed(drain_time_s=3.0))
    daemon.say("announce")
    here.sees("BGP.as_path: 4690\n")
    daemon.say("drain")
    assert "(65535,0)" in here.sees("(65535,0)", "(4690,100)")
    assert daemon.status_when(lambda status: status["state"] == "draining", "draining")["announced"]
    here.misses()
    daemon.status_when(lambda status: status["state"] == "withdrawn", "withdrawn")


def test_announcing_again_ends_the_draining(here: Site) -> None:
    daemon = here.daemon(managed(drain_time_s=2.0))
    daemon.say("announce")
    here.sees()
    daemon.say("drain")
    here.sees("(65535,0)")
    daemon.say("announce")
    eventually(lambda: "(65535,0)" not in here.sees(), "as preferred as before")
    daemon.status_when(lambda status: status["state"] == "announced", "announced")


def test_a_daemon_that_comes_back_within_the_hold_time(here: Site) -> None:
    daemon = here.daemon(managed())
    daemon.say("announce")
    here.sees()
    before = established(daemon)
    daemon.die()
    successor = here.daemon(managed())
    status = established(successor)
    assert (status["pid"], status["bird_pid"]) == (before["pid"], before["bird_pid"])
    assert status["announced"] and status["since"] == before["since"]
    assert here.route()


def test_a_daemon_that_stays_away(here: Site) -> None:
    daemon = here.daemon(managed(hold_time_s=3.0))
    daemon.say("announce")
    here.sees()
    assert here.supervisor is not None
    daemon.die()
    assert here.route()
    here.sees("(65535,0)")
    here.misses()
    eventually(lambda: not (here.runtime / "bgp").exists(), "the supervisor ends")
    assert not here.marked()
    successor = here.daemon(managed())
    assert not established(successor)["announced"]


@pytest.mark.parametrize("bfd", [True, False])
def test_the_supervisor_is_killed(here: Site, bfd: bool) -> None:
    """And BIRD with it: BFD makes the router drop its routes until another is there; without, it keeps them as stale
    (graceful restart)."""
    daemon = here.daemon(managed(neighbors=(replace(NEIGHBOR, bfd=bfd),)))
    daemon.say("announce")
    here.sees()
    before = established(daemon)
    os.kill(before["pid"], signal.SIGKILL)
    missed = 0
    while (status := daemon.say("status")).get("pid", before["pid"]) == before["pid"] or not established_in(status):
        missed += not here.route()
    here.sees("BGP.as_path: 4690\n", "(4690,100)")
    assert status["announced"] and status["bird_pid"] != before["bird_pid"] and here.marked()
    assert any("supervisor has gone" in problem for problem in status["problems"])
    assert bfd or not missed
    daemon.say("withdraw")
    here.misses()


def test_a_daemon_that_hangs(here: Site) -> None:
    daemon = here.daemon(managed(hold_time_s=3.0))
    daemon.say("announce")
    here.sees()
    before = established(daemon)
    daemon.process.send_signal(signal.SIGSTOP)
    here.misses()
    eventually(lambda: not (here.runtime / "bgp").exists(), "the supervisor ends")
    daemon.process.send_signal(signal.SIGCONT)
    here.sees("BGP.as_path: 4690\n")
    assert established(daemon)["pid"] != before["pid"]


def test_daemon_and_supervisor_are_killed(here: Site) -> None:
    daemon = here.daemon(managed())
    daemon.say("announce")
    here.sees()
    before = established(daemon)
    daemon.die()
    os.kill(before["pid"], signal.SIGKILL)
    assert here.marked()
    successor = here.daemon(managed())
    assert established(successor)["announced"]
    successor.say("stop")
    here.misses()
    assert not here.marked()


def test_bird_is_killed(here: Site) -> None:
    daemon = here.daemon(managed())
    daemon.say("announce")
    here.sees()
    before = established(daemon)
    os.kill(before["bird_pid"], signal.SIGKILL)
    after = daemon.status_when(
        lambda status: (
            status["bird_pid"] not in (0, before["bird_pid"])
            and [session["state"] for session in status["sessions"]] == ["Established"]
        ),
        "another BIRD",
    )
    assert after["pid"] == before["pid"]
    assert any("BIRD has ended (signal 9)" in problem for problem in after["problems"])
    here.sees("BGP.as_path: 4690\n")


def test_a_site_that_is_cut_off(here: Site) -> None:
    """Frames vanish: BFD sees it, and the router does not wait for BGP's hold time (90 s)."""
    daemon = here.daemon(managed())
    daemon.say("announce")
    here.sees()
    established(daemon)
    here.cut()
    here.misses()
    status = daemon.status_when(lambda status: status["problems"], "a problem")
    assert any("BGP session with 2001:db8:1::1 is lost" in problem for problem in status["problems"])
    assert status["announced"]


def test_somebody_removes_the_marked_route(here: Site) -> None:
    daemon = here.daemon(managed())
    daemon.say("announce")
    here.sees()
    here.agent.ip(f"route del unreachable {HOME} proto 79 metric 1000000")
    status = daemon.status_when(lambda status: status["problems"], "a problem")
    assert "it was put back" in status["problems"][0]
    assert here.marked()


def test_another_configuration_in_place(here: Site) -> None:
    daemon = here.daemon(managed())
    daemon.say("announce")
    here.sees("(4690,100)")
    before = established(daemon)
    other = managed(communities=((4690, 200),))
    daemon.write(Announcement((*other.prefixes, (parse_address("2001:db8:7::"), 48)), other.bgp))
    assert daemon.say("reconfigure") == {}
    here.sees("(4690,200)")
    eventually(lambda: here.route("2001:db8:7::/48"), "the second prefix")
    daemon.write(other)
    assert daemon.say("reconfigure") == {}
    eventually(lambda: not here.route("2001:db8:7::/48"), "no second prefix")
    assert not here.marked("2001:db8:7::/48") and here.marked()
    assert established(daemon)["bird_pid"] == before["bird_pid"]


def test_a_configuration_that_bird_refuses(here: Site) -> None:
    daemon = here.daemon(managed())
    daemon.say("announce")
    here.sees()
    daemon.write(managed(neighbors=(replace(NEIGHBOR, password='one"two'),)))
    assert "BIRD refuses the configuration made for it" in daemon.say("reconfigure")["error"]
    assert established(daemon)["announced"] and here.route()


def test_from_managed_to_external_and_back(here: Site) -> None:
    daemon = here.daemon(managed())
    daemon.say("announce")
    here.sees()
    daemon.write(Announcement(managed().prefixes, BgpConfig(BgpMode.EXTERNAL)))
    assert daemon.say("reconfigure") == {}
    here.misses()
    status = daemon.status_when(lambda status: status["mode"] == "external", "external")
    assert status["announced"] and status["bird_pid"] == 0 and here.marked()
    daemon.write(managed())
    assert daemon.say("reconfigure") == {}
    here.sees()


def test_external_is_the_marked_route_alone(here: Site) -> None:
    daemon = here.daemon(Announcement(managed().prefixes, BgpConfig(BgpMode.EXTERNAL, drain_time_s=1.0)))
    daemon.say("announce")
    eventually(here.marked, "the marked route")
    assert f"unreachable {HOME} dev lo metric 1000000" in here.marked()
    status = daemon.status_when(lambda status: status["announced"], "announced")
    assert status["bird_pid"] == 0 and status["sessions"] == []
    assert not (here.runtime / "bgp" / "bird.conf").exists()
    daemon.say("drain")
    eventually(lambda: "metric 1000001" in here.marked() and "metric 1000000" not in here.marked(), "draining")
    eventually(lambda: not here.marked(), "withdrawn")
    daemon.say("stop")


@pytest.mark.parametrize("command", ["status", "stop"])
def test_a_supervisor_that_hangs_is_succeeded(here: Site, command: str) -> None:
    daemon = here.daemon(managed())
    daemon.say("announce")
    here.sees()
    before = daemon.status_when(lambda status: status["announced"], "announced")
    os.kill(before["pid"], signal.SIGSTOP)
    if command == "stop":
        daemon.say("stop")
        assert not here.marked() and not (here.runtime / "bgp").exists()
    else:
        status = daemon.status_when(lambda status: status["pid"] != before["pid"], "another supervisor")
        assert status["announced"] and here.marked()
        assert any("did not answer" in problem for problem in status["problems"])
        here.sees()


def test_a_second_supervisor_goes(here: Site) -> None:
    daemon = here.daemon(managed())
    before = established(daemon)
    second = subprocess.run(
        [sys.executable, "-m", "unwired.plane.supervisor", str(here.runtime / "bgp")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert second.returncode == 1 and "another supervisor" in second.stderr
    assert established(daemon)["pid"] == before["pid"]
