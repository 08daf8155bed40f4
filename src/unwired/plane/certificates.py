"""The certificates of a home agent set: its own authority, and one certificate for each member.

A member's certificate names its locator as the only IP address in subjectAltName: that is all another member looks at
beside the authority's signature. Nobody else's authority is trusted, and names mean nothing.
"""

import contextlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from unwired.wire.address import Address, format_address

AUTHORITY_LIFETIME = timedelta(days=3653)
MEMBER_LIFETIME = timedelta(days=731)
EXPIRES_SOON = timedelta(days=30)
_BEFORE = timedelta(hours=1)
"""Certificates hold from this long before they are made: the members' clocks differ."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The PEM files that a member is given: its certificate, its private key, its set's authority."""

    certificate: Path
    private_key: Path
    authority: Path


class CertificateError(Exception):
    """A certificate can't be made or read; the text is for a person and names the file."""


def create_authority(directory: Path, name: str, now: datetime | None = None) -> tuple[Path, Path]:
    """Make ``NAME.crt`` and ``NAME.key`` (mode 0600), the authority of one set. Raises CertificateError, also when one
    of the files is there already: a new authority would cut every member off."""
    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    certificate = (
        _builder(subject, subject, key.public_key(), now, AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _write_pair(directory, name, certificate, key)


def create_member(
    directory: Path, authority: Path, authority_key: Path, name: str, locator: Address, now: datetime | None = None
) -> tuple[Path, Path]:
    """Make ``NAME.crt`` and ``NAME.key`` (mode 0600) for the member with this locator. Raises CertificateError."""
    now = now or datetime.now(UTC)
    issuer = _read_certificate(authority)
    issuer_key = _read_key(authority_key)
    if _public_bytes(issuer_key.public_key()) != _public_bytes(issuer.public_key()):
        raise CertificateError(f"{authority_key} is not the key of {authority}")
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(name), issuer.subject, key.public_key(), now, MEMBER_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(_ip(locator))]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_authority_identifier(issuer), critical=False)
        .sign(issuer_key, hashes.SHA256() if isinstance(issuer_key, ec.EllipticCurvePrivateKey) else None)
    )
    return _write_pair(directory, name, certificate, key)


def check(credentials: Credentials, locator: Address, now: datetime) -> list[str]:
    """Why a member's files can't be used, each a sentence for a person; empty when they can."""
    try:
        certificate = _read_certificate(credentials.certificate)
        authority = _read_certificate(credentials.authority)
        key = _read_key(credentials.private_key)
    except CertificateError as error:
        return [str(error)]
    problems = []
    if _public_bytes(key.public_key()) != _public_bytes(certificate.public_key()):
        problems.append(f"{credentials.private_key} is not the key of {credentials.certificate}")
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        problems.append(f"{credentials.certificate} is not signed by {credentials.authority}")
    named = certificate_addresses(certificate)
    if named != [_ip(locator)]:
        found = ", ".join(map(str, named)) or "none"
        problems.append(
            f"{credentials.certificate} must name the locator {format_address(locator)} as its only IP address; "
            f"it names {found}"
        )
    for path, one in ((credentials.certificate, certificate), (credentials.authority, authority)):
        if now >= one.not_valid_after_utc:
            problems.append(f"{path} expired on {one.not_valid_after_utc:%Y-%m-%d}")
        if now < one.not_valid_before_utc:
            problems.append(
                f"{path} is not valid before {one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC: is the clock right?"
            )
    return problems


def warnings(credentials: Credentials, now: datetime) -> list[str]:
    """What will be or may become wrong with files in which ``check`` found nothing."""
    found = []
    for path in (credentials.certificate, credentials.authority):
        try:
            end = _read_certificate(path).not_valid_after_utc
        except CertificateError as error:
            found.append(str(error))
        else:
            if now >= end - EXPIRES_SOON:
                verb = "expires" if now < end else "expired"
                found.append(f"{path} {verb} on {end:%Y-%m-%d}: make a new one")
    with contextlib.suppress(FileNotFoundError):
        if credentials.private_key.stat().st_mode & 0o077:
            found.append(f"{credentials.private_key} may be read by others than its owner: chmod 600 it")
    return found


def certificate_addresses(certificate: x509.Certificate) -> list[IPv4Address | IPv6Address]:
    """The IP addresses in subjectAltName."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return []
    return [
        address
        for address in names.get_values_for_type(x509.IPAddress)
        if isinstance(address, IPv4Address | IPv6Address)
    ]


def names_only(certificate: bytes, locator: Address) -> bool:
    """Whether a certificate (DER, already verified) names this locator as its only IP address."""
    try:
        return certificate_addresses(x509.load_der_x509_certificate(certificate)) == [_ip(locator)]
    except ValueError:
        return False


# --- parts -----------------------------------------------------------------------------------------------------------


def _ip(locator: Address) -> IPv4Address | IPv6Address:
    return ip_address(format_address(locator))


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + lifetime)
    )


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _public_bytes(key: object) -> bytes:
    made: bytes = key.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return made


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise CertificateError(f"{path} can't be read: {error.strerror}") from None
    except ValueError:
        raise CertificateError(f"{path} holds no certificate in PEM form") from None


def _read_key(path: Path) -> CertificateIssuerPrivateKeyTypes:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise CertificateError(f"{path} can't be read: {error.strerror}") from None
    except (ValueError, TypeError):
        raise CertificateError(f"{path} holds no private key in PEM form without passphrase") from None
    return key  # type: ignore[return-value]


def _write_pair(
    directory: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> tuple[Path, Path]:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    paths = directory / f"{name}.crt", directory / f"{name}.key"
    for path in paths:
        if path.exists():
            raise CertificateError(f"{path} is there already; move it away to make a new one")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _write(paths[1], private, 0o600)
        _write(paths[0], certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    except OSError as error:
        raise CertificateError(f"{error.filename} can't be written: {error.strerror}") from None
    return paths


def _write(path: Path, data: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode), "wb") as file:
        file.write(data)
