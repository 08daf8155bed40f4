"""The copy of a subscribers file: read instead of it as long as the text is the same, and never believed otherwise."""

from pathlib import Path

import pytest

from unwired.core.settings import Algorithm, SecurityAssociation, Subscriber
from unwired.host import config, subscriber_copy
from unwired.host.config import Config, HomeAgentConfig
from unwired.wire.address import parse_address

KEY = bytes(range(16))
SUBSCRIBERS = (
    Subscriber(b"a@example.org", bytes(15) + b"\x01", (SecurityAssociation(256, KEY),)),
    Subscriber(b"b@example.org", bytes(15) + b"\x02", (SecurityAssociation(257, KEY, Algorithm.HMAC_SHA256),)),
    Subscriber(
        b"c@example.org",
        bytes(15) + b"\x03",
        home_address_ipv4=parse_address("203.0.113.7"),
        mobile_prefixes_ipv4=((parse_address("10.64.1.0"), 120),),
    ),
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    path = tmp_path / subscriber_copy.NAME
    subscriber_copy.write(path, subscriber_copy.digest(b"text"), SUBSCRIBERS)
    return path


def test_what_was_written_is_read_for_the_same_text_only(copy: Path) -> None:
    assert subscriber_copy.read(copy, subscriber_copy.digest(b"text")) == SUBSCRIBERS
    assert subscriber_copy.read(copy, subscriber_copy.digest(b"other text")) is None


def test_it_is_for_roots_eyes(copy: Path) -> None:
    assert copy.stat().st_mode & 0o777 == 0o600


def test_a_damaged_copy_is_none(copy: Path) -> None:
    data = copy.read_bytes()
    for damaged in (b"", data[:31], data[:-1], data[:40] + bytes((data[40] ^ 1,)) + data[41:]):
        copy.write_bytes(damaged)
        assert subscriber_copy.read(copy, subscriber_copy.digest(b"text")) is None


def test_a_directory_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    subscriber_copy.write(tmp_path / "none" / "copy", b"", SUBSCRIBERS)
    assert subscriber_copy.read(tmp_path / "none" / "copy", b"") is None


# --- with the configuration -------------------------------------------------------------------------------------------


def files(directory: Path, secret: str = "hex:00112233445566778899aabbccddeeff") -> Path:
    (directory / "subscribers.toml").write_text(
        '[[subscriber]]\nidentifier = "mn@example.org"\nhome_address = "2001:db8:100::1000"\n'
        f'[[subscriber.key]]\nspi = 256\nsecret = "{secret}"\n'
    )
    path = directory / "home-agent.toml"
    path.write_text(
        f'[daemon]\nstate_dir = "{directory}"\n[home_agent]\naddress = "2001:db8:100::1"\n'
        'home_prefixes = ["2001:db8:100::/64"]\nsubscribers = "subscribers.toml"\n'
    )
    return path


def keep_copy(loaded: Config) -> None:
    role = loaded.role
    assert isinstance(role, HomeAgentConfig)
    assert role.to_copy is not None
    loaded.daemon.subscriber_copy.parent.mkdir()
    subscriber_copy.write(loaded.daemon.subscriber_copy, role.to_copy.digest, role.to_copy.subscribers)


def test_a_configuration_from_a_copy_is_the_same(tmp_path: Path) -> None:
    path = files(tmp_path)
    first = config.load(path)
    keep_copy(first)
    again = config.load(path)
    assert again == first
    assert isinstance(again.role, HomeAgentConfig)
    assert again.role.to_copy is None


def test_what_the_copy_has_is_checked_against_the_other_sections(tmp_path: Path) -> None:
    path = files(tmp_path)
    keep_copy(config.load(path))
    path.write_text(path.read_text().replace("2001:db8:100::", "2001:db8:200::"))
    with pytest.raises(config.ConfigError) as refused:
        config.load(path)
    assert "is in none of the home prefixes" in str(refused.value)


def test_another_list_is_read(tmp_path: Path) -> None:
    path = files(tmp_path)
    keep_copy(config.load(path))
    subscribers = tmp_path / "subscribers.toml"
    subscribers.write_text(subscribers.read_text().replace("::1000", "::2000"))
    role = config.load(path).role
    assert isinstance(role, HomeAgentConfig)
    assert role.subscribers[0].home_address.hex().endswith("2000")


def test_a_list_with_secrets_elsewhere_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a secret of enough bytes")
    role = config.load(files(tmp_path, "file:key")).role
    assert isinstance(role, HomeAgentConfig)
    assert role.to_copy is None
