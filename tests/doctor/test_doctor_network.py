"""One thing of a host's network is broken at a time, and that is what is found."""

import socket
import subprocess
from pathlib import Path

import pytest
from patient import Harm, Patient

from unwired.doctor.finding import Level

pytestmark = pytest.mark.root

FILTER = "table inet filter {{\n chain {hook} {{\n type filter hook {hook} priority 0;\n {rule}\n }}\n}}\n"


def setting(name: str, value: int) -> Harm:
    return lambda patient: patient.inside.sysctl(**{name: value})


def rule(hook: str, text: str) -> Harm:
    return lambda patient: patient.nft(FILTER.format(hook=hook, rule=text))


def forwards_except_on_one(patient: Patient) -> None:
    patient.inside.sysctl(all__forwarding=1)
    patient.inside.sysctl(eth1__forwarding=0)


def test_nothing_is_wrong_with_a_healthy_host(patient: Patient) -> None:
    assert patient.complaints() == set()
    patient.home_agent()
    assert patient.complaints() == set()
    patient.mobile_node()
    assert patient.complaints() == set()


@pytest.mark.parametrize(
    ("harm", "code", "level"),
    [
        (setting("eth1__disable_ipv6", 1), "network.ipv6", Level.FAIL),
        (forwards_except_on_one, "network.forwarding", Level.FAIL),
        (lambda patient: patient.run("ip link set eth1 mtu 1200"), "network.mtu", Level.FAIL),
        (lambda patient: patient.run("ip link set eth1 mtu 1300"), "network.mtu", Level.WARN),
        (lambda patient: patient.run("ip link set eth1 down"), "network.uplinks", Level.WARN),
        (lambda patient: patient.run("ip link del eth1"), "network.uplinks", Level.WARN),
        (lambda patient: patient.run("ip -6 route del default"), "network.addresses", Level.FAIL),
        (lambda patient: patient.run("ip address add 2002:c000:201::1/64 dev eth1"), "network.native_ipv6", Level.WARN),
        (lambda patient: patient.run("ip address add 2001:db8:100::9/56 dev eth1"), "network.home_prefix", Level.FAIL),
        (rule("output", "meta l4proto 135 drop"), "firewall.outgoing", Level.FAIL),
        (rule("output", "icmpv6 type packet-too-big drop"), "firewall.outgoing", Level.FAIL),
        (rule("postrouting", 'oifname "eth0" meta l4proto 135 drop'), "firewall.outgoing", Level.FAIL),
        (rule("input", "meta l4proto 135 drop"), "firewall.incoming", Level.WARN),
        (rule("input", "meta l4proto 41 drop"), "firewall.incoming", Level.WARN),
        (rule("prerouting", "icmpv6 type packet-too-big drop"), "firewall.incoming", Level.WARN),
        (rule("forward", "ip6 daddr 2001:db8:100::/64 drop"), "firewall.forwarded", Level.WARN),
    ],
)
def test_a_home_agent(patient: Patient, harm: Harm, code: str, level: Level) -> None:
    patient.home_agent()
    harm(patient)
    assert patient.complaints() == {(code, level)}


@pytest.mark.parametrize(
    ("harm", "code", "level"),
    [
        (setting("eth1__disable_ipv6", 1), "network.ipv6", Level.FAIL),
        (setting("eth0__accept_ra", 0), "network.router_advertisements", Level.WARN),
        (setting("eth0__forwarding", 1), "network.router_advertisements", Level.FAIL),
        (lambda patient: patient.run("ip -6 route del default"), "network.addresses", Level.WARN),
        (rule("output", "meta l4proto 135 drop"), "firewall.outgoing", Level.FAIL),
        (rule("prerouting", "fib saddr . iif oif missing drop"), "firewall.replies", Level.FAIL),
        (rule("input", "ip6 daddr 2001:db8:100::1000 drop"), "firewall.replies", Level.FAIL),
    ],
)
def test_a_mobile_node(patient: Patient, harm: Harm, code: str, level: Level) -> None:
    patient.mobile_node()
    harm(patient)
    assert (code, level) in patient.complaints()
    assert {found for found, _ in patient.complaints()} <= {code, "firewall.incoming"}


IPV4 = 'address_ipv4 = "203.0.113.2"\nhome_prefixes_ipv4 = ["198.51.100.0/24"]\npool_ipv4 = ["198.51.100.128/25"]'


def ipv4_setting(name: str, value: int) -> Harm:
    def harm(patient: Patient) -> None:
        with patient.inside:
            Path("/proc/sys/net/ipv4/conf", name).write_text(str(value))

    return harm


def forwards_ipv4_except_on_one(patient: Patient) -> None:
    ipv4_setting("all/forwarding", 1)(patient)
    ipv4_setting("eth1/forwarding", 0)(patient)


@pytest.mark.parametrize(
    ("harm", "code", "level"),
    [
        (lambda patient: None, "", Level.OK),
        (lambda patient: patient.run("ip -4 route del default"), "network.addresses", Level.FAIL),
        (lambda patient: patient.run("ip -6 route del default"), "network.addresses", Level.WARN),
        (forwards_ipv4_except_on_one, "network.forwarding", Level.FAIL),
        (lambda patient: patient.run("ip address add 198.51.100.9/25 dev eth1"), "network.home_prefix", Level.FAIL),
        (rule("output", "udp dport 4191 drop"), "firewall.outgoing", Level.FAIL),
        (rule("input", "udp dport 4191 drop"), "firewall.incoming", Level.WARN),
        (rule("input", "icmp type destination-unreachable drop"), "firewall.incoming", Level.WARN),
        (rule("forward", "ip saddr 198.51.100.0/24 drop"), "firewall.forwarded", Level.WARN),
    ],
)
def test_a_home_agent_in_both_internets(patient: Patient, harm: Harm, code: str, level: Level) -> None:
    patient.home_agent(keys=IPV4)
    patient.run("ip address add 203.0.113.2/24 dev eth0")
    patient.run("ip route add default via 203.0.113.1")
    harm(patient)
    assert patient.complaints() == ({(code, level)} if code else set())


def test_a_mobile_node_with_an_ipv4_home_address(patient: Patient) -> None:
    patient.mobile_node(keys='home_agent_ipv4 = "203.0.113.2"\nhome_address_ipv4 = "198.51.100.77"')
    patient.run("ip address add 192.0.2.2/24 dev eth0")
    patient.run("ip route add default via 192.0.2.1")
    assert patient.complaints() == set()
    rule("prerouting", "meta nfproto ipv4 fib saddr . iif oif missing drop")(patient)
    assert patient.complaints() == {("firewall.replies", Level.FAIL)}


def test_a_filter_that_lets_answers_in_is_no_problem(patient: Patient) -> None:
    """What comes back to the home address belongs to a connection, as it does without a tunnel."""
    patient.mobile_node()
    patient.nft(
        "table inet filter {\n set ours {\n type inet_proto\n elements = { 41, 4, 135 }\n }\n chain input {\n"
        " type filter hook input priority 0; policy drop;\n"
        " ct state { established, related } accept\n meta l4proto @ours accept\n }\n}\n"
    )
    assert patient.complaints() == set()
    patient.nft("flush ruleset\n" + FILTER.format(hook="input", rule="ip6 saddr 2a00::/16 udp sport 7777 drop"))
    assert patient.complaints() == {("firewall.replies", Level.FAIL)}


def test_the_rule_that_drops_is_named_and_the_fix_works(patient: Patient) -> None:
    patient.home_agent(daemon="shortcut = false")
    patient.nft(FILTER.format(hook="forward", rule="policy drop;"))
    found = [each for each in patient.findings() if each.code == "firewall.forwarded"]
    assert [each.level for each in found] == [Level.FAIL, Level.FAIL]
    for each in found:
        assert "inet filter forward: policy drop" in each.found
        patient.run(each.fix)
    assert patient.complaints() == set()


def test_a_program_that_takes_packets_before_ours_does(patient: Patient) -> None:
    source, compiled = patient.directory / "pass.c", patient.directory / "pass.o"
    source.write_text('__attribute__((section("xdp"))) int take_all(void *packet) { return 2; }\n')
    subprocess.run(["clang", "-target", "bpf", "-O2", "-c", source, "-o", compiled], check=True)
    patient.home_agent()
    attach = f"mount -t bpf bpf /sys/fs/bpf && ip link set dev eth1 xdpgeneric object {compiled} section xdp"
    subprocess.run([*patient.inside.command("unshare --mount sh -c"), attach], check=True)
    assert patient.complaints() == {("network.express_data_path", Level.WARN)}


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_a_port_that_another_program_has(patient: Patient, family: socket.AddressFamily) -> None:
    with patient.inside, socket.socket(family, socket.SOCK_DGRAM) as other:
        other.bind(("", 4191))
        assert patient.complaints() == {("ports.nat_traversal", Level.FAIL)}
    assert patient.complaints() == set()


def test_the_host_is_as_before(patient: Patient) -> None:
    def state() -> list[str]:
        return [patient.inside.run(command) for command in ("ip link", "ip -6 route", "ip -6 rule", "nft list ruleset")]

    patient.home_agent()
    patient.nft(FILTER.format(hook="input", rule="meta l4proto 135 drop"))
    before = state()
    patient.findings()
    assert state() == before
    assert not Path("/sys/fs/bpf/unwired/doctor").exists()
