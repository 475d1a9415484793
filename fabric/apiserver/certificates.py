"""The cluster's own CA, and what it signs: the server's certificate and the administrator's.

Three files, each a key and its certificate in one, so that any of them is whole or absent: `ca.pem`,
`server.pem`, `admin.pem` (0600), and `ca.crt` beside them for others to read. A process killed at any
moment leaves a directory from which the next one goes on with the same CA.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
SERVER_ADDRESSES = ("127.0.0.1", "::1")
ADMIN, ADMIN_GROUP = "kubernetes-admin", "system:masters"

_VALID = timedelta(days=3650)
_CLOCK_SKEW = timedelta(days=1)
_RENEW_BEFORE = timedelta(days=30)

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate and its private key, each as PEM."""

    certificate: bytes
    key: bytes

    @property
    def x509(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate)

    @property
    def private_key(self) -> ec.EllipticCurvePrivateKey:
        key = serialization.load_pem_private_key(self.key, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key


@dataclass(frozen=True, slots=True)
class Pki:
    """The certificates of one cluster, as they stand in `directory`."""

    directory: Path
    ca: Credential
    server: Credential
    admin: Credential

    @classmethod
    def load_or_create(cls, directory: Path, names: Iterable[str] = (), addresses: Iterable[str] = ()) -> Pki:
        """Read the directory and make what is missing, stale or signed by another CA.

        The server's certificate holds SERVER_NAMES and SERVER_ADDRESSES and those given; a certificate
        that lacks one of them is replaced. OSError when the directory cannot be written.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        ca = _load(directory / "ca.pem")
        if ca is None:
            ca = _authority()
            _store(directory / "ca.pem", ca)
        public = directory / "ca.crt"
        if not public.exists() or public.read_bytes() != ca.certificate:
            _write(public, ca.certificate, 0o644)
        wanted = _subject_names((*SERVER_NAMES, *names), (*SERVER_ADDRESSES, *addresses))
        server = _load(directory / "server.pem")
        if server is None or not _signed_by(ca, server) or not wanted <= _names_in(server):
            server = server_credential(ca, wanted)
            _store(directory / "server.pem", server)
        admin = _load(directory / "admin.pem")
        if admin is None or not _signed_by(ca, admin):
            admin = client_credential(ca, ADMIN, (ADMIN_GROUP,))
            _store(directory / "admin.pem", admin)
        return cls(directory, ca, server, admin)

    def client(self, user: str, groups: Sequence[str] = ()) -> Credential:
        """Sign a new client certificate for a user; it is not kept in the directory."""
        return client_credential(self.ca, user, groups)

    def server_context(self) -> ssl.SSLContext:
        """TLS for the server: it shows its certificate and accepts (without asking for) those of this CA."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.directory / "server.pem")
        context.load_verify_locations(cadata=self.ca.certificate.decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        context.set_alpn_protocols(["http/1.1"])
        return context


def server_credential(ca: Credential, names: frozenset[str | Address]) -> Credential:
    """A certificate that the API server shows under these names and addresses."""
    listed = sorted(names, key=str)
    subject_names = [x509.DNSName(n) if isinstance(n, str) else x509.IPAddress(n) for n in listed]
    return _signed(
        ca,
        _name("kube-apiserver", ()),
        (x509.SubjectAlternativeName(subject_names), _usage(ExtendedKeyUsageOID.SERVER_AUTH)),
    )


def client_credential(ca: Credential, user: str, groups: Sequence[str]) -> Credential:
    """A certificate by which a user is known: CN is the user, each O a group."""
    return _signed(ca, _name(user, groups), (_usage(ExtendedKeyUsageOID.CLIENT_AUTH),))


def _authority() -> Credential:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("fabric-ca", ())
    usage = _key_usage(signs_certificates=True)
    builder = (
        _builder(name, name, key.public_key(), key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )
    return _credential(builder.sign(key, hashes.SHA256()), key)


def _signed(ca: Credential, subject: x509.Name, extensions: Sequence[x509.ExtensionType]) -> Credential:
    key = ec.generate_private_key(ec.SECP256R1())
    ca_key = ca.private_key
    builder = (
        _builder(subject, ca.x509.subject, key.public_key(), ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return _credential(builder.sign(ca_key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _usage(purpose: x509.ObjectIdentifier) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([purpose])


def _name(common: str, groups: Sequence[str]) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _subject_names(names: Iterable[str], addresses: Iterable[str]) -> frozenset[str | Address]:
    found: set[str | Address] = set(names)
    return frozenset(found.union(map(ip_address, addresses)))


def _names_in(credential: Credential) -> frozenset[str | Address]:
    found = credential.x509.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = found.get_values_for_type(x509.IPAddress)
    listed = [address for address in addresses if isinstance(address, Address)]
    return frozenset((*found.get_values_for_type(x509.DNSName), *listed))


def _signed_by(ca: Credential, credential: Credential) -> bool:
    certificate = credential.x509
    if certificate.not_valid_after_utc < datetime.now(UTC) + _RENEW_BEFORE:
        return False
    try:
        certificate.verify_directly_issued_by(ca.x509)
    except (InvalidSignature, ValueError):
        return False
    return True


def _credential(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Credential:
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    return Credential(
        certificate.public_bytes(pem), key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    )


_MARK = b"-----BEGIN CERTIFICATE-----"


def _load(path: Path) -> Credential | None:
    """The key and certificate of one file; None when it is not there or not whole."""
    try:
        key, mark, certificate = path.read_bytes().partition(_MARK)
    except FileNotFoundError:
        return None
    credential = Credential(mark + certificate, key)
    try:
        whole = credential.private_key.public_key() == credential.x509.public_key()
    except ValueError:
        return None
    return credential if whole else None


def _store(path: Path, credential: Credential) -> None:
    _write(path, credential.key + credential.certificate, 0o600)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Put the file there whole or not at all, also when the machine loses power."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
