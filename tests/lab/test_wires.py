"""What a wire does to what it carries, and that networks are joined and left with real carrier changes.

Limits are wide: they tell a wire that works from one that does not, on a busy machine too.
"""

import contextlib
import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from small_lab import SMALL, inside, lab_of, needs_root, wait_for

from unwired.lab.build import Lab

pytestmark = [pytest.mark.root, needs_root]


def _pings(lab_output: str) -> list[float]:
    return [float(found) for found in re.findall(r"time=([\d.]+)", lab_output)]


def test_delay_is_added_once_in_each_direction(write: Callable[[str], Path]) -> None:
    with lab_of(write(SMALL.format(duration_s=1, shape="delay_ms = 20"))) as lab:
        for address in ("2001:db8:2::2", "10.0.2.2"):
            times = _pings(inside(lab, "left", "ping", "-c", "6", "-i", "0.05", address))
            assert len(times) == 6
            assert 40 <= min(times) < 50


def test_large_packets_and_checksums_survive(write: Callable[[str], Path]) -> None:
    """TCP through the relay, where frames are large and checksums are still owed, arrives whole."""
    with lab_of(write(SMALL.format(duration_s=1, shape="delay_ms = 1"))) as lab:
        size = 20_000_000
        serve = (
            "import socket, hashlib;"
            "s = socket.create_server(('::', 9), family=socket.AF_INET6); print('ready', flush=True);"
            "c = s.accept()[0]; h = hashlib.sha256(); n = 0\n"
            "while d := c.recv(1 << 20): h.update(d); n += len(d)\n"
            "print(n, h.hexdigest(), flush=True)"
        )
        server = lab.processes.start("server", ["python3", "-c", serve], lab.namespaces["right"])
        lab.processes.wait_for_line(server, "ready")
        send = (
            "import socket, hashlib; d = bytes(range(251)) * 80000; d = d[:20_000_000];"
            "c = socket.create_connection(('2001:db8:2::2', 9)); c.sendall(d); c.close();"
            "print(len(d), hashlib.sha256(d).hexdigest())"
        )
        sent = inside(lab, "left", "python3", "-c", send).strip()
        assert sent.startswith(str(size))
        server.expected_to_run = False
        wait_for(lambda: sent in server.log.read_text())


def _stop_relay(lab: Lab) -> list[dict[str, int]]:
    """The relay's counters, direction by direction."""
    assert lab.relay is not None
    lab.relay.expected_to_run = False
    lab.relay.popen.send_signal(signal.SIGTERM)
    lab.relay.popen.wait(10)
    return list(json.loads(lab.relay.log.read_text().splitlines()[-1]).values())


def test_rate_limits_and_bounds_the_queue(write: Callable[[str], Path]) -> None:
    with lab_of(write(SMALL.format(duration_s=1, shape="rate_mbit = 2\nqueue_ms = 50"))) as lab:
        times = _pings(inside(lab, "left", "ping", "-c", "3", "-s", "1000", "2001:db8:2::2", "-i", "0.1"))
        assert min(times) >= 2 * 8 * 1000 / 2e3 * 0.99  # ms: a kilobyte there and back at 2 Mbit/s
        # 500 kB at once are 2 s of this wire; its queue holds 50 ms.
        send = (
            "import socket; s = socket.socket(10, 2); [s.sendto(bytes(1000), ('2001:db8:2::2', 9)) for _ in range(500)]"
        )
        inside(lab, "left", "python3", "-c", send)
        out = _stop_relay(lab)[0]
        assert out["frames"] >= 500
        assert 5 <= out["frames"] - out["queue_full"] < 250


def test_loss_is_near_its_share(write: Callable[[str], Path]) -> None:
    with lab_of(write(SMALL.format(duration_s=1, shape="loss_percent = 20"))) as lab:
        inside(lab, "left", "ping", "-c", "400", "-i", "0.002", "-q", "-W", "1", "10.0.2.2")
        out = _stop_relay(lab)[0]
        assert 0.12 < out["lost"] / out["frames"] < 0.28


NETWORKS = """
name = "networks"
duration_s = 5

[[node]]
name = "router"
role = "router"
interfaces = { lan0 = ["2001:db8:1::1/64"], lan1 = ["2001:db8:2::1/64"] }

[[node]]
name = "host"
role = "host"
interfaces = { eth0 = [] }
attached = { eth0 = "one" }

[[network]]
name = "one"
members = ["router.lan0"]

[[network]]
name = "two"
members = ["router.lan1"]
delay_ms = 15
"""


@pytest.mark.parametrize("advertiser", ["lab", "bird"])
def test_moving_changes_carrier_and_network(write: Callable[[str], Path], advertiser: str) -> None:
    text = NETWORKS.replace("members", f'advertiser = "{advertiser}"\nmembers')
    with lab_of(write(text)) as lab:
        netlink = lab.namespaces["host"].netlink

        def carrier() -> int:
            return int(netlink.link("get", ifname="eth0")[0].get("carrier"))

        def prefixes() -> set[str]:
            found = {address.get("address") for address in netlink.get_addr(family=10)}
            return {address.rpartition(":")[0][:12] for address in found if address.startswith("2001:db8")}

        assert carrier() == 1
        wait_for(lambda: "2001:db8:1:0" in prefixes())
        lab.detach("host.eth0")
        assert carrier() == 0
        lab.attach("host.eth0", "two")
        assert carrier() == 1
        wait_for(lambda: "2001:db8:2:0" in prefixes())
        times: list[float] = []

        def answered() -> bool:  # once duplicate address detection is over
            with contextlib.suppress(AssertionError):
                times.extend(_pings(inside(lab, "host", "ping", "-c", "2", "-i", "0.1", "-W", "1", "2001:db8:2::1")))
            return bool(times)

        wait_for(answered)
        assert min(times) >= 30


def test_ospf_finds_the_routes(write: Callable[[str], Path]) -> None:
    text = SMALL.format(duration_s=1, shape="").replace('name = "small"', 'name = "small"\nrouting = "ospf"', 1)
    text = text.replace('between = ["middle.eth1", "right.eth0"]', 'between = ["middle.eth1", "far.eth0"]')
    text += """
[[node]]
name = "far"
role = "router"
interfaces = { eth0 = ["2001:db8:3::1/64", "10.0.3.1/24"], eth1 = ["2001:db8:2::1/64", "10.0.2.1/24"] }
[[link]]
between = ["far.eth1", "right.eth0"]
"""
    text = text.replace('"2001:db8:2::1/64", "10.0.2.1/24"] }', '"2001:db8:3::2/64", "10.0.3.2/24"] }', 1)
    with lab_of(write(text)) as lab:
        for address in ("2001:db8:2::2", "10.0.2.2"):
            assert _pings(inside(lab, "left", "ping", "-c", "2", "-i", "0.1", address))
