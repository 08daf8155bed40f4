"""Other programs on the host, a daemon that has learnt something, and what a site needs."""

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from patient import Patient

from unwired.doctor import data_plane, programs
from unwired.doctor.finding import Finding, Level
from unwired.doctor.host import Host

pytestmark = pytest.mark.root

IPV4 = 'address_ipv4 = "203.0.113.2"\nhome_prefixes_ipv4 = ["198.51.100.0/24"]'
BGP = """
[home_agent_set]
member = "tokyo"
group_id = 1
durability = "local"
certificate = "tokyo.crt"
private_key = "tokyo.key"
authority = "authority.crt"
[[member]]
name = "tokyo"
address = "2001:db8:100::1"
locator = "2001:db8:5::2"
[bgp]
as = 64512
[[bgp.neighbor]]
address = "2001:db8:5::1"
as = 64513
"""


@contextmanager
def running(directory: Path, name: str) -> Iterator[None]:
    """A process of this name."""
    program = directory / "bin" / name
    program.parent.mkdir(exist_ok=True)
    shutil.copy("/bin/sleep", program)
    process = subprocess.Popen([program, "60"])
    try:
        deadline = time.monotonic() + 10
        while Path(f"/proc/{process.pid}/comm").read_text() != f"{name}\n":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield
    finally:
        process.kill()
        process.wait()


def of(patient: Patient, code: str) -> list[Finding]:
    return [finding for finding in patient.findings() if finding.code == code]


def test_networkd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_CONFIGURATION", [tmp_path / "lib", tmp_path / "etc"])
    drop_ins = tmp_path / "etc" / "systemd" / "networkd.conf.d"
    drop_ins.mkdir(parents=True)
    with running(tmp_path, "systemd-network"):
        (found,) = programs.networkd(Host(None))
        assert found.level == Level.WARN
        assert "ManageForeignRoutingPolicyRules" in found.found and "ManageForeignRoutes=no" in found.fix
        main = tmp_path / "etc" / "systemd" / "networkd.conf"
        main.write_text("[Network]\nManageForeignRoutes=no\n# ManageForeignRoutingPolicyRules=yes\n")
        (found,) = programs.networkd(Host(None))
        assert "with ManageForeignRoutingPolicyRules:" in found.found
        (drop_ins / "unwired.conf").write_text("[Network]\nManageForeignRoutingPolicyRules=no\n")
        (found,) = programs.networkd(Host(None))
        assert found.level == Level.OK
        (drop_ins / "zz.conf").write_text("[Network]\nManageForeignRoutes=true\n")
        (found,) = programs.networkd(Host(None))
        assert found.level == Level.WARN
    (found,) = programs.networkd(Host(None))
    assert found.level == Level.OK


def test_network_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_CONFIGURATION", [tmp_path])
    drop_ins = tmp_path / "NetworkManager" / "conf.d"
    drop_ins.mkdir(parents=True)
    with running(tmp_path, "NetworkManager"):
        assert [found.level for found in programs.network_manager(Host(None))] == [Level.WARN]
        (drop_ins / "a.conf").write_text("[keyfile]\nunmanaged-devices=interface-name:docker*\n")
        assert [found.level for found in programs.network_manager(Host(None))] == [Level.WARN]
        (drop_ins / "b.conf").write_text("[keyfile]\nunmanaged-devices+=mac:02:00:00:00:00:01;interface-name:mip0*\n")
        assert [found.level for found in programs.network_manager(Host(None))] == [Level.OK]


def test_another_daemon_for_the_same(patient: Patient) -> None:
    with running(patient.directory, "mip6d"):
        assert patient.complaints() == {("programs.mobility", Level.WARN)}
    patient.home_agent(keys='home_link = "eth1"')
    with running(patient.directory, "radvd"):
        assert patient.complaints() == {("programs.advertising", Level.WARN)}
    assert patient.complaints() == set()


@contextmanager
def daemon_that_says(patient: Patient, status: dict[str, Any]) -> Iterator[None]:
    directory = patient.directory / "run" / "patient"
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "control.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                request = json.loads(connection.makefile().readline())
                assert request == {"schema": "unwired.request/1", "verb": "status"}
                connection.sendall(json.dumps(status).encode() + b"\n")

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield
        finally:
            thread.join(5)
            path.unlink()


@pytest.mark.parametrize(("offset_s", "level"), [(0, Level.OK), (-3600, Level.WARN)])
def test_the_home_agents_clock(patient: Patient, offset_s: int, level: Level) -> None:
    patient.mobile_node()
    assert [each.level for each in of(patient, "clock.home_agent")] == [Level.UNKNOWN]
    with daemon_that_says(patient, {"pid": 1, "engine": {"clock_offset_s": offset_s}}):
        (found,) = of(patient, "clock.home_agent")
    assert found.level == level
    assert offset_s == 0 or "-3600 s" in found.found


@pytest.mark.parametrize(("keys", "level"), [("", Level.WARN), (IPV4, Level.FAIL)], ids=["IPv6", "IPv4"])
def test_a_strict_filter_that_the_daemon_had_switched_off(patient: Patient, keys: str, level: Level) -> None:
    patient.home_agent(keys=keys)
    with patient.inside:
        Path("/proc/sys/net/ipv4/conf/eth1/rp_filter").write_text("1")
    (found,) = of(patient, "network.reverse_path")
    assert found.level == Level.OK and "strict (rp_filter 1) on eth1" in found.found
    with daemon_that_says(patient, {"pid": 1, "engine": {}}):
        (found,) = of(patient, "network.reverse_path")
    assert (found.level, found.about) == (level, "eth1")


def certificates(directory: Path) -> None:
    from unwired.plane.certificates import create_authority, create_member
    from unwired.wire.address import parse_address

    create_authority(directory, "authority")
    signer = directory / "authority.crt", directory / "authority.key"
    create_member(directory, *signer, "tokyo", parse_address("2001:db8:5::2"))


def test_bgp(patient: Patient) -> None:
    certificates(patient.directory)
    patient.home_agent(sections=BGP)
    (found,) = of(patient, "site.bgp_sessions")
    assert found.level == Level.FAIL and "refuses" in found.found
    with patient.outside:
        router = socket.create_server(("2001:db8:5::1", 179), family=socket.AF_INET6)
    with router:
        assert patient.complaints() == set()
    (found,) = of(patient, "site.routing_daemon")
    assert "takes the configuration" in found.found
    session = {"neighbor": "2001:db8:5::1", "as": 64513, "state": "Active"}
    status = {"pid": 1, "engine": {}, "home_agent_set": {"announcement": {"sessions": [session]}}}
    with daemon_that_says(patient, status):
        (found,) = of(patient, "site.bgp_sessions")
    assert found.level == Level.FAIL and "Active" in found.found


def test_a_signed_bgp_session_is_answered(patient: Patient) -> None:
    """A router that expects signatures (RFC 2385) answers to nobody else."""
    from unwired.doctor.site import _prepare
    from unwired.plane.bgp import BgpNeighbor
    from unwired.wire.address import parse_address

    certificates(patient.directory)
    patient.home_agent(sections=BGP.replace("as = 64513", 'as = 64513\npassword = "text:secret"'))
    with patient.outside:
        router = socket.create_server(("2001:db8:5::1", 179), family=socket.AF_INET6)
    with router:
        _prepare(router, BgpNeighbor(parse_address("2001:db8:5::2"), 64512, password="secret"))
        assert [each.level for each in of(patient, "site.bgp_sessions")] == [Level.OK]
        _prepare(router, BgpNeighbor(parse_address("2001:db8:5::2"), 64512, password="another"))
        (found,) = of(patient, "site.bgp_sessions")
    assert found.level == Level.FAIL and "does not answer" in found.found


def test_the_members_port(patient: Patient) -> None:
    certificates(patient.directory)
    patient.home_agent(sections=BGP.partition("[bgp]")[0])
    with patient.inside, socket.create_server(("2001:db8:5::2", 7691), family=socket.AF_INET6):
        assert patient.complaints() == {("ports.members", Level.FAIL)}
    patient.nft("table inet f {\n chain i {\n type filter hook input priority 0;\n udp dport 7691 drop\n }\n}\n")
    assert patient.complaints() == {("firewall.incoming", Level.FAIL)}
    assert "UDP port 7691" in next(each.found for each in of(patient, "firewall.incoming"))
    (patient.directory / "tokyo.key").chmod(0o644)
    assert ("site.certificates", Level.WARN) in patient.complaints()


def test_a_kernel_that_refuses(patient: Patient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.o"
    damaged.write_bytes(b"no program")
    monkeypatch.setattr(data_plane, "object_path", lambda: damaged)
    data_plane.rehearse.cache_clear()
    try:
        assert patient.complaints() == {
            ("kernel.programs", Level.FAIL),
            ("kernel.attachment", Level.FAIL),
            ("kernel.forwarding", Level.FAIL),
        }
    finally:
        data_plane.rehearse.cache_clear()


def test_a_kernel_that_does_not_do_what_it_should(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the programs ran and nothing came of it."""
    monkeypatch.setattr(data_plane.BpfTable, "attach_uplink", lambda table, interface: None)
    data_plane.rehearse.cache_clear()
    try:
        assert patient.complaints() == {("kernel.forwarding", Level.FAIL)}
        found = " ".join(each.found for each in of(patient, "kernel.forwarding"))
        assert "into a tunnel" in found and "out of a tunnel" in found and "to the daemon" in found
    finally:
        data_plane.rehearse.cache_clear()
