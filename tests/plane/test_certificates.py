"""Certificates of a set: what is made, and what ``check`` finds wrong."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from unwired.plane.certificates import (
    AUTHORITY_LIFETIME,
    MEMBER_LIFETIME,
    CertificateError,
    Credentials,
    check,
    create_authority,
    create_member,
    names_only,
    warnings,
)
from unwired.wire.address import parse_address

LOCATOR = parse_address("2001:240:100::10")
NOW = datetime.now(UTC)


@pytest.fixture
def made(tmp_path: Path, authority: tuple[Path, Path]) -> Credentials:
    return Credentials(*create_member(tmp_path, *authority, "tokyo", LOCATOR), authority[0])


def test_what_is_made_is_right(made: Credentials) -> None:
    assert check(made, LOCATOR, NOW) == []
    assert (made.certificate.name, made.private_key.name) == ("tokyo.crt", "tokyo.key")
    assert made.private_key.stat().st_mode & 0o777 == 0o600
    certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc >= MEMBER_LIFETIME
    assert names_only(certificate.public_bytes(Encoding.DER), LOCATOR)


def test_an_ipv4_locator(tmp_path: Path, authority: tuple[Path, Path]) -> None:
    locator = parse_address("192.0.2.7")
    made = Credentials(*create_member(tmp_path, *authority, "four", locator), authority[0])
    assert check(made, locator, NOW) == []


def test_the_authority_lasts_longer_and_its_key_is_private(authority: tuple[Path, Path]) -> None:
    certificate = x509.load_pem_x509_certificate(authority[0].read_bytes())
    assert certificate.not_valid_after_utc > NOW + AUTHORITY_LIFETIME - timedelta(days=1) > NOW + MEMBER_LIFETIME
    assert authority[1].stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("later", "problem"),
    [
        (MEMBER_LIFETIME + timedelta(days=1), "expired on"),
        (-timedelta(days=1), "is the clock right"),
    ],
)
def test_time_is_checked(made: Credentials, later: timedelta, problem: str) -> None:
    assert any(problem in one and "tokyo.crt" in one for one in check(made, LOCATOR, NOW + later))


def test_a_certificate_that_ends_soon_is_told_and_works(made: Credentials) -> None:
    soon = NOW + MEMBER_LIFETIME - timedelta(days=10)
    assert check(made, LOCATOR, soon) == []
    (warning,) = warnings(made, soon)
    assert "make a new one" in warning and "tokyo.crt" in warning
    assert warnings(made, NOW) == []


def test_files_that_have_changed_since_are_told(made: Credentials) -> None:
    (warning,) = warnings(made, NOW + MEMBER_LIFETIME + timedelta(days=1))
    assert "tokyo.crt expired on" in warning
    made.certificate.unlink()
    made.private_key.unlink()
    (warning,) = warnings(made, NOW)
    assert "tokyo.crt can't be read" in warning


def test_another_address_is_found(made: Credentials) -> None:
    (problem,) = check(made, parse_address("2001:db8::9"), NOW)
    assert "2001:db8::9" in problem and "it names 2001:240:100::10" in problem


def test_another_authority_is_found(made: Credentials, tmp_path: Path) -> None:
    other, _ = create_authority(tmp_path, "other")
    (problem,) = check(Credentials(made.certificate, made.private_key, other), LOCATOR, NOW)
    assert "not signed by" in problem


def test_another_key_is_found(made: Credentials, tmp_path: Path, authority: tuple[Path, Path]) -> None:
    _, key = create_member(tmp_path, *authority, "seoul", LOCATOR)
    (problem,) = check(Credentials(made.certificate, key, made.authority), LOCATOR, NOW)
    assert "not the key of" in problem


def test_a_key_that_others_may_read_is_told(made: Credentials) -> None:
    made.private_key.chmod(0o640)
    (warning,) = warnings(made, NOW)
    assert "chmod 600" in warning


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"])
def test_files_that_are_none(made: Credentials, tmp_path: Path, content: bytes | None) -> None:
    wrong = tmp_path / "wrong"
    if content is not None:
        wrong.write_bytes(content)
    for credentials in (
        Credentials(wrong, made.private_key, made.authority),
        Credentials(made.certificate, wrong, made.authority),
        Credentials(made.certificate, made.private_key, wrong),
    ):
        (problem,) = check(credentials, LOCATOR, NOW)
        assert str(wrong) in problem


def test_nothing_is_overwritten(made: Credentials, tmp_path: Path, authority: tuple[Path, Path]) -> None:
    with pytest.raises(CertificateError, match="there already"):
        create_member(tmp_path, *authority, "tokyo", LOCATOR)
    with pytest.raises(CertificateError, match="there already"):
        create_authority(authority[0].parent, "set-ca")


def test_the_authority_key_must_be_the_authoritys(tmp_path: Path, authority: tuple[Path, Path]) -> None:
    other = create_authority(tmp_path, "other")
    with pytest.raises(CertificateError, match="is not the key of"):
        create_member(tmp_path, authority[0], other[1], "tokyo", LOCATOR)


def test_bytes_that_are_no_certificate_name_nobody() -> None:
    assert not names_only(b"nonsense", LOCATOR)
