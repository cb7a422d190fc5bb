import datetime
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image, ImageSequence
from PIL.PngImagePlugin import PngInfo

from faceanim._version import __version__
from faceanim.errors import FaceanimError
from faceanim.media.encode import write_mp4
from faceanim.media.video import read_frames
from faceanim.provenance import c2pa
from faceanim.provenance.c2pa import (
    CERT_VARIABLE,
    KEY_VARIABLE,
    SYNTHETIC_SOURCE_TYPE,
    TSA_VARIABLE,
    Manifest,
    Signer,
    read_manifest,
)
from faceanim.provenance.metadata import COMMENT, read_comment
from tests.helpers.videos import noise

UNTRUSTED = "the signer is not on any trust list"
GENERATE: dict[str, Callable] = {
    "Es256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "Es384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "Ps256": lambda: rsa.generate_private_key(65537, 2048),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}
OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}


def pem(certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key, password: bytes | None = None, form=serialization.PrivateFormat.PKCS8) -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, encryption)


def named(name: str) -> x509.Name:
    names = {NameOID.ORGANIZATION_NAME: "Tests of faceanim", NameOID.COMMON_NAME: name}
    return x509.Name([x509.NameAttribute(*one) for one in names.items()])


def certificate(key, issuer_key, authority=False, days=30, purpose=ExtendedKeyUsageOID.EMAIL_PROTECTION):
    """Return a certificate of the authority, or one that it issues, as C2PA requires it."""
    now, no = datetime.datetime.now(datetime.UTC), False
    made = x509.CertificateBuilder(
        issuer_name=named("authority"),
        subject_name=named("authority" if authority else "signer"),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(days=60),
        not_valid_after=now + datetime.timedelta(days=days),
    )
    usage = x509.KeyUsage(not authority, no, no, no, no, authority, authority, no, no)
    made = made.add_extension(x509.BasicConstraints(authority, None), critical=True)
    made = made.add_extension(usage, critical=True)
    for extension in (
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
        *([] if authority else [x509.ExtendedKeyUsage([purpose])]),
    ):
        made = made.add_extension(extension, critical=False)
    is_edwards = isinstance(issuer_key, ed25519.Ed25519PrivateKey)
    return made.sign(issuer_key, None if is_edwards else hashes.SHA256())


class Credentials:
    """A new authority, and a signer's certificate and key in files that environment variables name."""

    def __init__(self, folder: Path, algorithm: str = "Es256", **wanted) -> None:
        authority_key, self.key = GENERATE[algorithm](), GENERATE[algorithm]()
        self.authority = pem(certificate(authority_key, authority_key, authority=True))
        self.signer = pem(certificate(self.key, authority_key, **wanted))
        self.cert_file, self.key_file = folder / "chain.pem", folder / "key.pem"
        self.cert_file.write_bytes(self.signer + self.authority)
        self.key_file.write_bytes(key_pem(self.key))

    def use(self, monkeypatch) -> "Credentials":
        monkeypatch.setenv(CERT_VARIABLE, str(self.cert_file))
        monkeypatch.setenv(KEY_VARIABLE, str(self.key_file))
        return self


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    pytest.importorskip("c2pa", reason="the extra c2pa is not installed")
    for variable in (CERT_VARIABLE, KEY_VARIABLE, TSA_VARIABLE):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def credentials(tmp_path, monkeypatch) -> Credentials:
    return Credentials(tmp_path).use(monkeypatch)


def make(path: Path) -> Path:
    """Write a small result as faceanim does, without a manifest."""
    frames = list(noise(6, (64, 48)))
    if path.suffix == ".mp4":
        write_mp4(path, frames, Fraction(25), comment=COMMENT)
        return path
    images = [Image.fromarray(frame) for frame in frames]
    if path.suffix == ".gif":
        images[0].save(path, save_all=True, append_images=images[1:], comment=COMMENT)
    else:
        text = PngInfo()
        text.add_text("Comment", COMMENT)
        images[0].save(path, pnginfo=text)
    return path


def pixels(path: Path) -> np.ndarray:
    if path.suffix == ".mp4":
        return np.stack(list(read_frames(path, "pyav")))
    with Image.open(path) as image:
        return np.stack([np.asarray(one.convert("RGB")) for one in ImageSequence.Iterator(image)])


def report(path: Path, trusted: bytes | None = None) -> dict:
    """Return the report of the C2PA library on a file."""
    import c2pa

    settings = OFFLINE | ({"trust": {"user_anchors": trusted.decode()}} if trusted else {})
    with c2pa.Context.from_dict(settings) as context, c2pa.Reader(path, context=context) as reader:
        return json.loads(reader.json()) | {"detailed": json.loads(reader.detailed_json())}


@pytest.mark.parametrize("algorithm", list(GENERATE))
def test_the_algorithm_is_that_of_the_key(algorithm, tmp_path, monkeypatch):
    Credentials(tmp_path, algorithm).use(monkeypatch)
    path = make(tmp_path / "out.png")
    Signer.from_environment().sign(path)
    said = report(path)
    assert said["manifests"][said["active_manifest"]]["signature_info"]["alg"] == algorithm
    assert said["validation_state"] == "Valid"


@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "out.png"])
def test_a_signed_file_says_what_made_it_and_shows_the_same(name, tmp_path, credentials):
    path = make(tmp_path / name)
    before = pixels(path)
    Signer.from_environment().sign(path)

    said = report(path)
    active = said["manifests"][said["active_manifest"]]
    (assertion,) = (one for one in active["assertions"] if not one["label"].startswith("c2pa.hash."))
    assert assertion["label"] == "c2pa.actions.v2"
    assert assertion["data"]["actions"] == [
        {
            "action": "c2pa.created",
            "softwareAgent": {"name": "faceanim", "version": __version__},
            "digitalSourceType": SYNTHETIC_SOURCE_TYPE,
        }
    ]
    claim = said["detailed"]["manifests"][said["active_manifest"]]["claim"]
    assert any(one["url"].endswith("/c2pa.actions.v2") for one in claim["created_assertions"])
    assert active["title"] == name
    assert active["claim_generator_info"][0]["name"] == "faceanim"
    assert "thumbnail" not in active
    assert not active.get("ingredients")
    failures = said["validation_results"]["activeManifest"]["failure"]
    assert [failure["code"] for failure in failures] == ["signingCredential.untrusted"]
    assert report(path, trusted=credentials.authority)["validation_state"] == "Trusted"

    assert read_manifest(path) == Manifest(True, "Tests of faceanim", "signer", True, (UNTRUSTED,))
    assert np.array_equal(pixels(path), before)
    assert read_comment(path) == COMMENT
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(["chain.pem", "key.pem", name])


def test_each_frame_of_a_folder_is_signed(tmp_path, credentials):
    folder = tmp_path / "frames"
    folder.mkdir()
    files = [make(folder / f"{number:06d}.png") for number in range(3)]
    signing = Signer.from_environment()
    signing.sign(folder)
    assert repr(signing) == "Signer()"
    assert all(read_manifest(file).valid for file in files)
    assert sorted(folder.iterdir()) == files


def test_nothing_is_signed_where_nothing_is_configured(monkeypatch):
    assert Signer.from_environment() is None
    monkeypatch.setenv(CERT_VARIABLE, "")
    monkeypatch.setenv(KEY_VARIABLE, "")
    assert Signer.from_environment() is None


def test_a_key_in_the_default_format_of_openssl_is_accepted(tmp_path, credentials):
    sec1 = key_pem(credentials.key, form=serialization.PrivateFormat.TraditionalOpenSSL)
    assert b"EC PRIVATE KEY" in sec1
    credentials.key_file.write_bytes(sec1)
    path = make(tmp_path / "out.gif")
    Signer.from_environment().sign(path)
    assert read_manifest(path).valid


def use_unsupported_curve(made: Credentials) -> None:
    made.key = ec.generate_private_key(ec.SECP256K1())
    made.cert_file.write_bytes(pem(certificate(made.key, made.key)))
    made.key_file.write_bytes(key_pem(made.key))


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda made: made.cert_file.unlink(), f"cannot read the file of {CERT_VARIABLE}, .*: No such file"),
        (
            lambda made: made.cert_file.write_text("x"),
            f"the file of {CERT_VARIABLE} contains no certificate in PEM format",
        ),
        (
            lambda made: made.key_file.write_bytes(key_pem(made.key).replace(b"M", b"!")),
            f"the file of {KEY_VARIABLE} contains no private key in PEM format",
        ),
        (
            lambda made: made.key_file.write_bytes(key_pem(made.key, b"secret")),
            f"the key of {KEY_VARIABLE} is encrypted",
        ),
        (
            lambda made: made.key_file.write_bytes(key_pem(GENERATE["Es256"]())),
            f"the key of {KEY_VARIABLE} does not belong to the first certificate",
        ),
        (
            lambda made: made.cert_file.write_bytes(made.authority + made.signer),
            f"the key of {KEY_VARIABLE} does not belong to the first certificate",
        ),
        (use_unsupported_curve, f"the key of {KEY_VARIABLE} is of a type that C2PA does not support"),
    ],
)
def test_an_unusable_file_is_one_line_without_secrets(spoil, line, credentials, capfd):
    spoil(credentials)
    secrets = key_pem(credentials.key).decode().splitlines()[1:-1]
    if credentials.key_file.is_file():
        secrets += credentials.key_file.read_text().splitlines()[1:-1]
    refused(line, secrets, capfd)


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        ({"days": -1}, f"C2PA rejects the certificate of {CERT_VARIABLE}.*not valid at time"),
        (
            {"purpose": ExtendedKeyUsageOID.SERVER_AUTH},
            f"C2PA rejects the certificate of {CERT_VARIABLE}.*invalid",
        ),
    ],
)
def test_a_certificate_that_c2pa_rejects_is_one_line(wanted, line, tmp_path, monkeypatch, capfd):
    made = Credentials(tmp_path, **wanted).use(monkeypatch)
    refused(line, key_pem(made.key).decode().splitlines()[1:-1], capfd)


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        (KEY_VARIABLE, "", f"{CERT_VARIABLE} is set, but {KEY_VARIABLE} is not"),
        (CERT_VARIABLE, "", f"{KEY_VARIABLE} is set, but {CERT_VARIABLE} is not"),
        (KEY_VARIABLE, "/", f"cannot read the file of {KEY_VARIABLE}, /: Is a directory"),
        (
            TSA_VARIABLE,
            "http://name:secret@127.0.0.1:9/tsa",
            f"no timestamp from the timestamp authority of {TSA_VARIABLE}",
        ),
        (TSA_VARIABLE, "tsa of secret", f"no timestamp from the timestamp authority of {TSA_VARIABLE}"),
    ],
)
def test_an_unusable_variable_is_one_line(variable, value, line, credentials, monkeypatch, capfd):
    monkeypatch.setenv(variable, value)
    refused(line, ["secret"], capfd)


def test_signing_without_the_extra_is_one_line(credentials, monkeypatch, capfd):
    monkeypatch.setattr(c2pa, "find_spec", lambda name: None)
    refused(r"pip install 'faceanim\[c2pa\]'", [], capfd)


def refused(line: str, secrets: list[str], capfd) -> None:
    """Check that the configured files are refused in one line that contains no secret."""
    with pytest.raises(FaceanimError, match=line) as raised:
        Signer.from_environment()
    assert "\n" not in str(raised.value)
    assert "".join(capfd.readouterr()) == ""
    assert not any(secret in str(raised.value) for secret in secrets)


def test_what_cannot_be_signed_stays_as_it_was(tmp_path, credentials):
    path = tmp_path / "out.mp4"
    path.write_text("not a video")
    with pytest.raises(FaceanimError, match=r"out.mp4 was written, but cannot be signed") as raised:
        Signer.from_environment().sign(path)
    assert "\n" not in str(raised.value)
    assert path.read_text() == "not a video"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["chain.pem", "key.pem", "out.mp4"]
