"""The keys of dual stack: IPv4 addresses and prefixes, each right by itself and together."""

from pathlib import Path

import pytest

from unwired.core.settings import Family
from unwired.host.config import ConfigError, HomeAgentConfig, MobileNodeConfig, Problem, load
from unwired.wire.address import UNSPECIFIED_IPV4, Address, parse_address

HOME_AGENT = """
[home_agent]
address = "2001:db8:100::1"
home_prefixes = ["2001:db8:100::/64"]
address_ipv4 = "198.51.100.1"
home_prefixes_ipv4 = ["203.0.113.0/24"]
pool_ipv4 = ["203.0.113.128/25"]
mobile_prefix_pool_ipv4 = ["10.64.0.0/16"]
insecure = true
[[home_agent.subscriber]]
identifier = "mn@example.org"
home_address = "2001:db8:100::1000"
home_address_ipv4 = "203.0.113.7"
mobile_prefixes_ipv4 = ["10.65.1.0/24"]
[[home_agent.subscriber]]
identifier = "other@example.org"
home_address = "2001:db8:100::1001"
home_address_ipv4 = "203.0.113.8"
mobile_prefixes_ipv4 = ["10.65.2.0/24"]
"""

MOBILE_NODE = """
[mobile_node]
identifier = "mn@example.org"
home_address = "2001:db8:100::1000"
home_agent = "2001:db8:100::1"
home_agent_ipv4 = "198.51.100.1"
home_address_ipv4 = "203.0.113.7"
insecure = true
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "it.toml"
    path.write_text(text)
    return path


def prefix(text: str) -> tuple[Address, int]:
    address, length = text.split("/")
    return parse_address(address), 96 + int(length)


def test_home_agent(tmp_path: Path) -> None:
    role = load(written(tmp_path, HOME_AGENT)).role
    assert isinstance(role, HomeAgentConfig)
    settings = role.settings
    assert settings.address_ipv4 == parse_address("198.51.100.1")
    assert settings.home_prefixes_ipv4 == (prefix("203.0.113.0/24"),)
    assert settings.pool_ipv4 == (prefix("203.0.113.128/25"),)
    assert settings.mobile_prefix_pool_ipv4 == (prefix("10.64.0.0/16"),)
    assert (settings.nat_keepalive_s, settings.force_udp, settings.allow_forced_udp) == (110, False, True)
    one, _ = role.subscribers
    assert one.home_address_ipv4 == parse_address("203.0.113.7")
    assert one.mobile_prefixes_ipv4 == (prefix("10.65.1.0/24"),)


def test_mobile_node(tmp_path: Path) -> None:
    more = 'mobile_prefix_length_ipv4 = 24\nfamilies = ["ipv4"]\nforce_udp = true\n'
    more += 'use_home_address_for = ["10.0.0.0/8", "2001:db8::/32"]\n'
    role = load(written(tmp_path, MOBILE_NODE.replace('"203.0.113.7"', '"dynamic"') + more)).role
    assert isinstance(role, MobileNodeConfig)
    assert role.settings.home_agent_ipv4 == parse_address("198.51.100.1")
    assert role.settings.home_address_ipv4 == UNSPECIFIED_IPV4
    assert role.settings.mobile_prefix_length_ipv4 == 120
    assert role.settings.families == (Family.IPV4,)
    assert role.settings.force_udp
    assert role.use_home_address_for == (prefix("10.0.0.0/8"), (parse_address("2001:db8::"), 32))


def problems(tmp_path: Path, text: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    for problem in caught.value.problems:
        assert problem.what and problem.why and problem.fix
    return caught.value.problems


@pytest.mark.parametrize(
    ("change", "keys"),
    [
        (('"198.51.100.1"', '"2001:db8::1"'), ["address_ipv4"]),
        (('"198.51.100.1"', '"224.0.0.1"'), ["address_ipv4"]),
        (('"198.51.100.1"', '"203.0.113.129"'), ["address_ipv4"]),
        (('"198.51.100.1"', '"10.64.3.1"'), ["address_ipv4"]),
        (('"198.51.100.1"', '"203.0.113.7"'), ["subscriber[0].home_address_ipv4"]),
        (('"198.51.100.1"', '"10.65.2.1"'), ["subscriber[1].mobile_prefixes_ipv4[0]"]),
        (('"203.0.113.0/24"', '"203.0.113.1/24"'), ["home_prefixes_ipv4[0]"]),
        (('"203.0.113.0/24"', '"0.0.0.0/0"'), ["home_prefixes_ipv4[0]"]),
        (('"203.0.113.0/24"', '"2001:db8::/64"'), ["home_prefixes_ipv4[0]"]),
        (
            ('["203.0.113.0/24"]', "[]"),
            ["pool_ipv4[0]", "subscriber[0].home_address_ipv4", "subscriber[1].home_address_ipv4"],
        ),
        (('"203.0.113.128/25"', '"203.0.114.0/24"'), ["pool_ipv4[0]"]),
        (('"203.0.113.128/25"', '"203.0.113.128/25", "203.0.113.192/26"'), ["pool_ipv4[1]"]),
        (('"10.64.0.0/16"', '"203.0.113.128/26"'), ["mobile_prefix_pool_ipv4[0]"]),
        (('"10.64.0.0/16"', '"10.65.2.0/26"'), ["subscriber[1].mobile_prefixes_ipv4[0]"]),
        (('"203.0.113.7"', '"203.0.113.8"'), ["subscriber[1].home_address_ipv4"]),
        (('"203.0.113.7"', '"203.0.113.130"'), ["subscriber[0].home_address_ipv4"]),
        (('"203.0.113.7"', '"192.0.2.1"'), ["subscriber[0].home_address_ipv4"]),
        (('"203.0.113.7"', '"dynamic"'), ["subscriber[0].home_address_ipv4"]),
        (('"10.65.1.0/24"', '"10.65.0.0/16"'), ["subscriber[1].mobile_prefixes_ipv4"]),
        (("insecure = true", "insecure = true\nnat_keepalive_s = 1"), ["nat_keepalive_s"]),
    ],
)
def test_mistakes_at_the_home_agent(tmp_path: Path, change: tuple[str, str], keys: list[str]) -> None:
    found = problems(tmp_path, HOME_AGENT.replace(*change))
    assert sorted(problem.key for problem in found) == sorted(f"home_agent.{key}" for key in keys)


@pytest.mark.parametrize(
    ("change", "keys"),
    [
        (('home_agent = "2001:db8:100::1"', ""), ["home_agent"]),
        (('"198.51.100.1"', '"::1"'), ["home_agent_ipv4"]),
        (('home_agent_ipv4 = "198.51.100.1"', 'families = ["ipv4"]'), ["home_agent_ipv4"]),
        (('"203.0.113.7"', '"198.51.100.1"'), ["home_address_ipv4"]),
        (('home_address_ipv4 = "203.0.113.7"', "mobile_prefix_length_ipv4 = 24"), ["home_address_ipv4"]),
        (("insecure", "mobile_prefix_length_ipv4 = 33\ninsecure"), ["mobile_prefix_length_ipv4"]),
        (("insecure", 'families = ["ipv5"]\ninsecure'), ["families"]),
        (("insecure", 'families = ["ipv4", "ipv4"]\ninsecure'), ["families"]),
        (("insecure", "families = []\ninsecure"), ["families"]),
        (("insecure", 'use_care_of_address_for = ["10.0.0.1/8"]\ninsecure'), ["use_care_of_address_for[0]"]),
    ],
)
def test_mistakes_at_the_mobile_node(tmp_path: Path, change: tuple[str, str], keys: list[str]) -> None:
    found = problems(tmp_path, MOBILE_NODE.replace(*change))
    assert [problem.key for problem in found] == [f"mobile_node.{key}" for key in keys]


def test_nothing_is_said_that_only_follows_from_another_mistake(tmp_path: Path) -> None:
    found = problems(tmp_path, HOME_AGENT.replace('"203.0.113.0/24"', '"203.0.113.0/24x"'))
    assert [problem.key for problem in found] == ["home_agent.home_prefixes_ipv4[0]"]
