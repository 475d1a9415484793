"""The cluster's CA: made once, found again after any crash, replaced where stale."""

import os
import ssl
import stat

import pytest
import yaml
from cryptography import x509

from fabric.apiserver.authentication import User, authenticate
from fabric.apiserver.certificates import Pki
from fabric.apiserver.kubeconfig import kubeconfig
from fabric.errors import Unauthorized


def names_of(credential):
    found = credential.x509.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))}


def test_what_was_made_is_found_again(tmp_path):
    first = Pki.load_or_create(tmp_path / "pki", ["api.example"], ["10.96.0.1"])
    assert Pki.load_or_create(tmp_path / "pki", ["api.example"], ["10.96.0.1"]) == first
    assert names_of(first.server) == {
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "api.example",
        "127.0.0.1",
        "::1",
        "10.96.0.1",
    }


def test_keys_are_for_their_owner_only(tmp_path):
    pki = Pki.load_or_create(tmp_path / "pki")
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in pki.directory.iterdir()}
    assert modes == {"ca.pem": 0o600, "server.pem": 0o600, "admin.pem": 0o600, "ca.crt": 0o644}


def test_a_new_address_replaces_the_servers_certificate_only(tmp_path):
    first = Pki.load_or_create(tmp_path)
    second = Pki.load_or_create(tmp_path, addresses=["192.168.0.2"])
    assert (second.ca, second.admin) == (first.ca, first.admin)
    assert "192.168.0.2" in names_of(second.server)
    assert Pki.load_or_create(tmp_path).server == second.server


@pytest.mark.parametrize("name", ["ca.crt", "server.pem", "admin.pem"])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_file_that_is_missing_or_cut_is_made_anew_under_the_same_authority(tmp_path, name, damage):
    first = Pki.load_or_create(tmp_path)
    file = tmp_path / name
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:100])
    second = Pki.load_or_create(tmp_path)
    assert second.ca == first.ca
    assert (tmp_path / "ca.crt").read_bytes() == first.ca.certificate
    for credential in (second.server, second.admin):
        credential.x509.verify_directly_issued_by(first.ca.x509)


def test_another_authority_makes_everything_new(tmp_path):
    first = Pki.load_or_create(tmp_path)
    (tmp_path / "ca.pem").unlink()
    second = Pki.load_or_create(tmp_path)
    assert second.ca != first.ca
    second.server.x509.verify_directly_issued_by(second.ca.x509)
    assert (tmp_path / "ca.crt").read_bytes() == second.ca.certificate


def test_the_leftover_of_a_killed_write_does_no_harm(tmp_path):
    (tmp_path / f".ca.pem.{os.getpid()}").write_bytes(b"half")
    assert Pki.load_or_create(tmp_path).ca.x509.subject.rfc4514_string() == "CN=fabric-ca"


def test_a_user_is_known_by_the_certificate_or_the_token(tmp_path):
    certificate = {"subject": ((("organizationName", "team"),), (("commonName", "jane"),))}
    assert authenticate(certificate, "", {}) == User("jane", ("team", "system:authenticated"))
    assert authenticate(None, "Bearer abc", {"abc": "robot"}).name == "robot"
    for header in ("", "Bearer", "Bearer xyz", "Basic abc"):
        with pytest.raises(Unauthorized):
            authenticate(None, header, {"abc": "robot"})
    with pytest.raises(Unauthorized):
        authenticate({"subject": ()}, "", {})


def test_the_kubeconfig_has_everything_inside(tmp_path):
    pki = Pki.load_or_create(tmp_path)
    config = yaml.safe_load(kubeconfig("demo", "https://127.0.0.1:6443", pki))
    assert config["current-context"] == "fabric-demo"
    assert config["contexts"] == [
        {"name": "fabric-demo", "context": {"cluster": "fabric-demo", "user": "fabric-demo"}}
    ]
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
    assert set(config["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}


def test_the_servers_tls_accepts_certificates_without_demanding_them(tmp_path):
    context = Pki.load_or_create(tmp_path).server_context()
    assert context.verify_mode == ssl.CERT_OPTIONAL
