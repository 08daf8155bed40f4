"""bgp.mode = "external": an operator's own routing daemon exports the marked route, with the sample configurations that
the documentation shows: BIRD 2, and FRR."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from site_network import Site, eventually, managed, site

from unwired.plane.bgp import Announcement, BgpConfig, BgpMode

pytestmark = pytest.mark.root

SAMPLES = Path(__file__).parents[2] / "examples" / "bgp"
FRR = Path("/usr/lib/frr")
EXTERNAL = Announcement(managed().prefixes, BgpConfig(BgpMode.EXTERNAL, drain_time_s=3.0, hold_time_s=3.0))


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        made.start_router()
        # The forwarding routes of a home agent, which must not be exported.
        made.agent.ip("route add 2001:db8:100::/41 dev a0 proto 77", "route add 2001:db8:180::/41 dev a0 proto 77")
        yield made


def start_bird(here: Site) -> None:
    control = here.directory / "operator.ctl"
    here.start(here.agent, "bird", "-f", "-c", str(SAMPLES / "bird.conf"), "-s", str(control))


def start_frr(here: Site) -> None:
    """FRR with everything that it would have in /run/frr in a directory of our own. As its own user: it does not run as
    root."""
    assert FRR.exists(), "FRR is not installed: make setup"
    run = here.public_directory()
    shutil.chown(run, "frr", "frr")
    for name in ("zebra", "bfdd", "bgpd"):
        here.start(
            here.agent, str(FRR / name), "-f", "/dev/null", "-i", str(run / f"{name}.pid"),
            "-z", str(run / "zserv.api"), "--vty_socket", str(run), "-P", "0", "--log", f"file:{run / name}.log",
            *(("--bfdctl", str(run / "bfdd.sock")) if name == "bfdd" else ()),
        )  # fmt: skip
        eventually((run / f"{name}.vty").exists, f"{name} runs")
    here.agent.run(f"vtysh --vty_socket {run} -f {SAMPLES / 'frr.conf'}")


@pytest.mark.parametrize("start", [start_bird, start_frr])
def test_exports_the_marked_route_and_nothing_else(here: Site, start: Callable[[Site], None]) -> None:
    start(here)
    daemon = here.daemon(EXTERNAL)
    eventually(lambda: "Established" in here.ask("show", "protocols", "agent"), "the session")
    here.agent.ip("route add unreachable 2001:db8:6::/48 proto 79 metric 1000000")
    assert not here.route()
    daemon.say("announce")
    assert "(65535,0)" not in here.sees("BGP.as_path: 4690\n")
    assert "1 of 1 routes for 1 networks in table master6" in here.ask("show", "route", "count")
    daemon.say("drain")
    here.sees("BGP.as_path: 4690\n", "(65535,0)")
    here.misses()
    daemon.say("announce")
    eventually(lambda: "(65535,0)" not in here.sees("BGP.as_path: 4690\n"), "announced again")
    daemon.die()
    here.sees("(65535,0)")
    here.misses()


@pytest.mark.parametrize("start", [start_bird, start_frr])
def test_a_site_that_is_cut_off(here: Site, start: Callable[[Site], None]) -> None:
    """Seen by BFD, not by BGP's hold time."""
    start(here)
    here.daemon(EXTERNAL).say("announce")
    here.sees()
    eventually(lambda: "Up" in here.ask("show", "bfd", "sessions"), "BFD")
    here.cut()
    here.misses()


def test_the_samples_are_in_order(tmp_path: Path) -> None:
    bird = shutil.which("bird") or "/usr/sbin/bird"
    subprocess.run([bird, "-p", "-c", str(SAMPLES / "bird.conf")], check=True)
