"""The configuration file: every mistake at once, each with what, why and fix, and never a secret."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from unwired.core.settings import Algorithm, Family
from unwired.host.config import ConfigError, HomeAgentConfig, MobileNodeConfig, Problem, load
from unwired.plane.certificates import create_authority, create_member
from unwired.wire.address import UNSPECIFIED_IPV4, parse_address

EXAMPLES = Path(__file__).parents[2] / "examples"

HOME_AGENT = """
[home_agent]
address = "2001:db8:100::1"
home_prefixes = ["2001:db8:100::/64"]
[[home_agent.subscriber]]
identifier = "mn@example.org"
home_address = "2001:db8:100::1000"
[[home_agent.subscriber.key]]
spi = 256
secret = "hex:00112233445566778899aabbccddeeff"
"""


def problems(tmp_path: Path, text: str) -> dict[str, Problem]:
    path = tmp_path / "it.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    found = {problem.key: problem for problem in caught.value.problems}
    assert len(found) == len(caught.value.problems), "two problems about one key"
    return found


def test_home_agent(tmp_path: Path) -> None:
    path = tmp_path / "it.toml"
    path.write_text(HOME_AGENT)
    config = load(path)
    assert config.daemon.name == "home-agent"
    assert config.daemon.control_socket == Path("/run/unwired/home-agent/control.sock")
    assert isinstance(config.role, HomeAgentConfig)
    assert config.role.settings.address == parse_address("2001:db8:100::1")
    (subscriber,) = config.role.subscribers
    assert subscriber.identifier == b"mn@example.org"
    assert subscriber.associations[0].key == bytes.fromhex("00112233445566778899aabbccddeeff")
    assert subscriber.associations[0].algorithm is Algorithm.HMAC_SHA1


def test_mobile_node_with_secret_in_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a secret of many words\n")
    path = tmp_path / "it.toml"
    path.write_text(
        """
        [mobile_node]
        identifier = "mn@example.org"
        home_address = "2001:db8:100::1000/56"
        home_agent = "2001:db8:100::1"
        interfaces = ["wlan0", "wwan0"]
        first_registration_timeout_s = 3
        use_care_of_address_for = ["2001:db8:5::/48"]
        [mobile_node.key]
        spi = 256
        secret = "file:key"
        algorithm = "hmac-sha256"
        """
    )
    role = load(path).role
    assert isinstance(role, MobileNodeConfig)
    assert role.settings.home_prefix_length == 56
    assert role.settings.interfaces == ("wlan0", "wwan0")
    assert role.settings.first_registration_timeout_s == 3.0
    assert role.settings.association is not None
    assert role.settings.association.key == b"a secret of many words"
    assert role.use_home_address_for == ((bytes(16), 0), (UNSPECIFIED_IPV4, 96))
    assert role.settings.families == (Family.IPV6, Family.IPV4)
    assert role.use_care_of_address_for == ((parse_address("2001:db8:5::"), 48),)


def test_six_mistakes_are_six_problems(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """
        [daemon]
        tunel_device = "mip0"
        tunnel_mtu = "1460"
        [home_agent]
        address = "2001:db8:100::1"
        home_prefixes = ["2001:db8:100::1/64"]
        lifetime_max_s = 1
        [[home_agent.subscriber]]
        identifier = "mn@example.org"
        home_address = "2001:db8:100::zz"
        [[home_agent.subscriber.key]]
        spi = 256
        secret = "0123456789abcdef0123456789abcdef"
        """,
    )
    assert set(found) == {
        "daemon.tunel_device",
        "daemon.tunnel_mtu",
        "home_agent.home_prefixes[0]",
        "home_agent.lifetime_max_s",
        "home_agent.subscriber[0].home_address",
        "home_agent.subscriber[0].key[0].secret",
    }
    assert found["daemon.tunel_device"].fix == 'did you mean "tunnel_device"?'
    assert found["home_agent.home_prefixes[0]"].fix == 'write "2001:db8:100::/64"'
    for problem in found.values():
        assert problem.what and problem.why and problem.fix
        assert "0123456789abcdef" not in problem.sentence(), "a secret was repeated"


def test_a_mistake_hides_no_other(tmp_path: Path) -> None:
    """What shows only when several keys are looked at is found also when there are mistakes in others; and nothing is
    said that only follows from another mistake."""
    found = problems(
        tmp_path,
        """
        [home_agent]
        adress = "2001:db8:100::1"
        "a(b" = 1
        address = "2001:db8:200::1"
        home_prefixes = ["2001:db8:100::/64"]
        lifetime_max_s = 1
        advertisement_interval_max_s = "3"
        advertisement_interval_min_s = 2.9
        [[home_agent.subscriber]]
        identifier = "mn@example.org"
        home_address = "2001:db8:300::1000"
        [[home_agent.subscriber.key]]
        spi = 1
        secret = "hex:00112233445566778899aabbccddeeff"
        """,
    )
    assert set(found) == {
        "home_agent.adress",
        "home_agent.a(b",
        "home_agent.address",
        "home_agent.lifetime_max_s",
        "home_agent.advertisement_interval_max_s",
        "home_agent.subscriber[0].home_address",
        "home_agent.subscriber[0].key[0].spi",
    }
    found = problems(
        tmp_path,
        """
        [mobile_node]
        identifier = "mn@example.org"
        home_address = "2001:db8:100::1000/64"
        home_agent = "nowhere"
        lifetime_s = 1
        """,
    )
    assert set(found) == {"mobile_node.home_agent", "mobile_node.lifetime_s", "mobile_node.key"}


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (('address = "2001:db8:100::1"', 'address = "2001:db8:200::1"'), "home_agent.address"),
        (("::1000", "::1"), "home_agent.subscriber[0].home_address"),
        (("2001:db8:100::1000", "2001:db8:200::1000"), "home_agent.subscriber[0].home_address"),
        (("spi = 256", "spi = 255"), "home_agent.subscriber[0].key[0].spi"),
        (("ccddeeff", "ccddee"), "home_agent.subscriber[0].key[0].secret"),
        (("ccddeeff", "ccddeexx"), "home_agent.subscriber[0].key[0].secret"),
        (("hex:", "hexa:"), "home_agent.subscriber[0].key[0].secret"),
        (("[home_agent]", "[home_agent]\ninsecure = 1"), "home_agent.insecure"),
        (("[home_agent]", "[home_agent]\npreference = -1"), "home_agent.preference"),
        (("[home_agent]", "[home_agent]\npreference = 65536"), "home_agent.preference"),
        (("[home_agent]", "[home_agnt]\n[home_agent]"), "home_agnt"),
        (("[home_agent]", '[home_agent]\nsubscribers = "none.toml"'), ""),
        (
            ("[home_agent]", "[home_agent]\nadvertisement_interval_min_s = 2.9"),
            "home_agent.advertisement_interval_min_s",
        ),
        (("[home_agent]", '[home_agent]\nhome_link = "a name too long for Linux"'), "home_agent.home_link"),
        (("[home_agent]", '[daemon]\nname = "../etc"\n[home_agent]'), "daemon.name"),
        (("[home_agent]", f'[daemon]\nruntime_dir = "/{"x" * 90}"\n[home_agent]'), "daemon.runtime_dir"),
    ],
)
def test_one_mistake(tmp_path: Path, change: tuple[str, str], key: str) -> None:
    assert list(problems(tmp_path, HOME_AGENT.replace(*change))) == [key]


def test_subscriber_without_key_needs_insecure(tmp_path: Path) -> None:
    bare = HOME_AGENT.split("[[home_agent.subscriber.key]]")[0]
    assert list(problems(tmp_path, bare)) == ["home_agent.subscriber[0].key"]
    path = tmp_path / "it.toml"
    path.write_text(bare.replace("[home_agent]", "[home_agent]\ninsecure = true"))
    assert load(path).role.settings.insecure


def test_subscriber_given_twice(tmp_path: Path) -> None:
    again = "[[home_agent.subscriber]]" + HOME_AGENT.split("[[home_agent.subscriber]]")[1]
    assert set(problems(tmp_path, HOME_AGENT + again)) == {
        "home_agent.subscriber[1].identifier",
        "home_agent.subscriber[1].home_address",
    }


def test_subscribers_in_a_file_of_their_own(tmp_path: Path) -> None:
    head, tail = HOME_AGENT.split("[[home_agent.subscriber]]")
    path = tmp_path / "it.toml"
    path.write_text(head + 'subscribers = "subscribers.toml"\n')
    listed = tmp_path / "subscribers.toml"
    listed.write_text("[[subscriber]]" + tail.replace("home_agent.subscriber", "subscriber"))
    role = load(path).role
    assert isinstance(role, HomeAgentConfig)
    assert [subscriber.identifier for subscriber in role.subscribers] == [b"mn@example.org"]
    listed.write_text(listed.read_text().replace("spi = 256", "spi = 1"))
    with pytest.raises(ConfigError) as caught:
        load(path)
    (problem,) = caught.value.problems
    assert (problem.file, problem.key) == (str(listed), "subscriber[0].key[0].spi")


@pytest.mark.parametrize("text", ["", "[daemon]\n", HOME_AGENT + "[mobile_node]\n", "no toml at all", "\xff"])
def test_unusable_files(tmp_path: Path, text: str) -> None:
    path = tmp_path / "it.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError):
        load(path)
    with pytest.raises(ConfigError):
        load(tmp_path / "missing.toml")


def test_discovery_needs_insecure(tmp_path: Path) -> None:
    assert set(
        problems(tmp_path, '[mobile_node]\nidentifier = "mn@example.org"\nhome_address = "2001:db8:100::1000"\n')
    ) == {"mobile_node.key", "mobile_node.home_agent"}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_examples_can_be_used(path: Path, tmp_path: Path) -> None:
    directory = tmp_path / "examples"
    shutil.copytree(EXAMPLES, directory)
    # The set's certificates are made by whoever runs it.
    create_member(directory, *create_authority(directory, "authority"), "tokyo", parse_address("2001:db8:a::10"))
    assert load(directory / path.name).path == directory / path.name


def test_check_command(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(HOME_AGENT)
    bad.write_text(HOME_AGENT.replace("spi = 256", "spi = 1"))

    def check(path: Path, *more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "unwired", "config", "check", str(path), *more]
        return subprocess.run(command, capture_output=True, text=True)

    assert check(good).returncode == 0
    failed = check(bad)
    assert failed.returncode == 2
    assert "spi" in failed.stdout
    answer = json.loads(check(bad, "--json").stdout)
    assert answer["schema"] == "unwired.config-check/1"
    assert answer["ok"] is False
    assert [problem["key"] for problem in answer["problems"]] == ["home_agent.subscriber[0].key[0].spi"]
