"""Reading and signing of C2PA manifests (Content Credentials); the environment names the certificate.

Nothing here accesses the network, except for a timestamp authority if one is configured.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from faceanim._version import __version__
from faceanim.errors import FaceanimError, wrap_disk_errors
from faceanim.provenance.metadata import GIF, MP4, PNG, detect_media_type
from faceanim.tables import atomic_path

CERT_VARIABLE, KEY_VARIABLE, TSA_VARIABLE = "FACEANIM_C2PA_CERT", "FACEANIM_C2PA_KEY", "FACEANIM_C2PA_TSA"
"""Environment variables: a PEM file of the certificate chain, the signer's first, the root's optional; a PEM
file of the signer's private key; optionally the address of a timestamp authority (RFC 3161)."""

SYNTHETIC_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""Digital source type of IPTC for media created by a trained model."""

INSTALL_HINT = "pip install 'faceanim[c2pa]'"

_TYPES = {".mp4": MP4, ".gif": GIF, ".png": PNG}
_SETTINGS = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": True},
    # Decoding an identity in a manifest may access the web, whichever hosts are allowed.
    "core": {"allowed_network_hosts": [], "decode_identity_assertions": False},
    "builder": {"thumbnail": {"enabled": False}},
}
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_CHANGED, _FORGED = "the file was changed after it was signed", "the manifest was changed after it was signed"
_REASONS = {
    "assertion.dataHash.mismatch": _CHANGED,
    "assertion.bmffHash.mismatch": _CHANGED,
    "assertion.boxesHash.mismatch": _CHANGED,
    "assertion.hashedURI.mismatch": _FORGED,
    "claimSignature.mismatch": _FORGED,
    "signingCredential.expired": "the certificate has expired, and the time of signing is unknown",
    "signingCredential.untrusted": "the signer is not on any trust list",
}
_TEST_IMAGE = bytes.fromhex("47494638396101000100 800000 000000ffffff 2c00000000010001000002024401003b")
"""The smallest GIF, one pixel, which is signed to test a certificate."""


@dataclass(frozen=True)
class SigningConfig:
    """Paths of the certificate chain and the private key, and the address of a timestamp authority."""

    certificates: Path
    key: Path
    timestamps: str | None


@dataclass(frozen=True)
class Signer:
    """A certificate that was tested by signing, so that no result is computed that cannot be signed."""

    _context: Any = field(repr=False)

    @classmethod
    def from_environment(cls) -> "Signer | None":
        """Load and test the certificate that the environment names; None if it names none.

        An image of one pixel is signed with it, and again with a timestamp if an authority is configured.

        Raises:
            FaceanimError: the configuration is incomplete or unreadable, signing fails, or the extra is not
                installed. The message names the variable and nothing of the content of the files.
        """
        config = read_signing_config()
        if config is None:
            return None
        if not is_c2pa_available():
            raise FaceanimError(
                f"{CERT_VARIABLE} is set, but the C2PA library is missing; {INSTALL_HINT}, "
                f"or unset it and {KEY_VARIABLE}"
            )
        credentials = _load_credentials(
            _read_file(CERT_VARIABLE, config.certificates), _read_file(KEY_VARIABLE, config.key)
        )
        rejected = (
            f"C2PA rejects the certificate of {CERT_VARIABLE}, "
            "which must be valid and issued for e-mail or documents"
        )
        signer = cls._create_tested(rejected, *credentials)
        if config.timestamps is None:
            return signer
        no_timestamp = (
            f"no timestamp from the timestamp authority of {TSA_VARIABLE}; correct its address, or unset it"
        )
        return cls._create_tested(no_timestamp, *credentials, config.timestamps)

    @classmethod
    def _create_tested(cls, error_message: str, *credentials: Any) -> "Signer":
        with _wrap_c2pa_errors(error_message):
            signer = cls(_make_context(*credentials))
            signer._embed(BytesIO(_TEST_IMAGE), BytesIO(), GIF, "trial")
        return signer

    def sign(self, path: Path) -> None:
        """Embed a manifest in an MP4, GIF or PNG, or in every PNG of a folder; files are replaced atomically.

        The manifest states that a trained model created the file, and with which version of faceanim. The
        portrait is not an ingredient and there is no thumbnail, so that no image of a person is attached.
        Each file gets a separate timestamp.

        Raises:
            FaceanimError: the file cannot be signed; it remains unchanged.
        """
        for file in sorted(path.glob("*.png")) if path.is_dir() else [path]:
            with (
                _wrap_c2pa_errors(
                    f"{file} was written, but cannot be signed; check the disk space and {TSA_VARIABLE}"
                ),
                wrap_disk_errors(),
                atomic_path(file) as temporary,
                file.open("rb") as source,
                temporary.open("w+b") as target,
            ):
                self._embed(source, target, _TYPES[file.suffix.lower()], file.name)

    def _embed(self, source: BinaryIO, target: BinaryIO, kind: str, title: str) -> None:
        import c2pa

        c2pa.Builder(_build_definition(title), self._context).sign(kind, source, target)


@dataclass(frozen=True)
class Manifest:
    """Content of a file's manifest.

    A valid manifest means that the holder of this certificate signed the file, and that it has not changed
    since. It does not prove the holder's identity: that takes a trust list, and none is used here.

    Attributes:
        synthetic: whether a trained model created the file, or the one that it is an edit of.
        issuer: the organization on the signer's certificate.
        common_name: the name on the signer's certificate.
        valid: whether the signature matches the file.
        reasons: the reasons why it is not valid, and other objections, in plain words.
    """

    synthetic: bool
    issuer: str | None
    common_name: str | None
    valid: bool
    reasons: tuple[str, ...]


def read_signing_config() -> SigningConfig | None:
    """Read the signing configuration from the environment; None if no variable is set.

    Raises:
        FaceanimError: only one of the certificate and the key is configured.
    """
    certificates, key = os.environ.get(CERT_VARIABLE), os.environ.get(KEY_VARIABLE)
    if not certificates and not key:
        return None
    if not certificates or not key:
        present, missing = (CERT_VARIABLE, KEY_VARIABLE) if certificates else (KEY_VARIABLE, CERT_VARIABLE)
        raise FaceanimError(f"{present} is set, but {missing} is not; set both to sign, or neither")
    return SigningConfig(Path(certificates), Path(key), os.environ.get(TSA_VARIABLE) or None)


def is_c2pa_available() -> bool:
    """Check whether the extra that reads and signs manifests is installed."""
    return find_spec("c2pa") is not None


def read_manifest(path: Path) -> Manifest | None:
    """Read the manifest embedded in an MP4, MOV, GIF, PNG, JPEG or WebP file.

    A remote manifest is not fetched.

    Returns:
        the manifest; None if there is no embedded one, or if the extra is not installed.

    Raises:
        FaceanimError: the file does not exist or is not readable.
    """
    kind = detect_media_type(path)
    if kind is None or not is_c2pa_available():
        return None
    import c2pa

    errors = c2pa.C2paError
    try:
        with (
            path.open("rb") as file,
            c2pa.Context.from_dict(_SETTINGS) as context,
            c2pa.Reader(kind, file, context=context) as reader,
        ):
            return _parse_manifest(json.loads(reader.json()))
    except (errors.Verify, errors.Decoding, errors.Signature, errors.Assertion, errors.AssertionNotFound):
        return Manifest(False, None, None, False, ("the manifest is damaged",))
    except errors:
        # No manifest, a remote one, or a file that is not what it seems, which the other checks report.
        return None


def _make_context(algorithm: str, certificates: bytes, key: bytes, timestamps: str | None = None) -> Any:
    import c2pa

    info = c2pa.C2paSignerInfo(algorithm, certificates, key, timestamps)
    return c2pa.Context.from_dict(_SETTINGS, c2pa.Signer.from_info(info))


def _build_definition(title: str) -> dict[str, Any]:
    agent = {"name": "faceanim", "version": __version__}
    action = {"action": "c2pa.created", "softwareAgent": agent, "digitalSourceType": SYNTHETIC_SOURCE_TYPE}
    # `created`: the signer vouches for it, as the specification requires of the origin of an asset.
    assertion = {"label": "c2pa.actions.v2", "created": True, "data": {"actions": [action]}}
    return {"title": title, "claim_generator_info": [agent], "assertions": [assertion]}


def _read_file(variable: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FaceanimError(f"cannot read the file of {variable}, {path}: {error.strerror}") from None


def _load_credentials(certificates: bytes, key: bytes) -> tuple[str, bytes, bytes]:
    """Return C2PA's name of the key's algorithm, the certificates alone as PEM, and the key as PKCS#8."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        chain = x509.load_pem_x509_certificates(certificates)
        public_key = chain[0].public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise FaceanimError(f"the file of {CERT_VARIABLE} contains no certificate in PEM format") from None
    try:
        private_key = serialization.load_pem_private_key(key, None)
    except TypeError:
        raise FaceanimError(
            f"the key of {KEY_VARIABLE} is encrypted; remove its password (`openssl pkey`)"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise FaceanimError(f"the file of {KEY_VARIABLE} contains no private key in PEM format") from None
    if private_key.public_key() != public_key:
        raise FaceanimError(
            f"the key of {KEY_VARIABLE} does not belong to the first certificate of {CERT_VARIABLE}"
        )
    pkcs8 = private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (
        _algorithm_name(private_key),
        b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in chain),
        pkcs8,
    )


def _algorithm_name(key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    curve = key.curve.name if isinstance(key, ec.EllipticCurvePrivateKey) else ""
    if curve not in _CURVES:
        raise FaceanimError(
            f"the key of {KEY_VARIABLE} is of a type that C2PA does not support; use P-256, Ed25519 or RSA"
        )
    return _CURVES[curve]


@contextmanager
def _wrap_c2pa_errors(message: str) -> Iterator[None]:
    """Turn errors of the C2PA library into one line, without addresses, as these may contain passwords."""
    import c2pa

    try:
        yield
    except c2pa.C2paError as error:
        reason = str(error).partition(": ")[2] or str(error)
        raise FaceanimError(f"{message}: {_to_printable(re.sub(r'[^ ]*://[^ ]*', '...', reason))}") from None


def _to_printable(text: str, max_length: int = 200) -> str:
    """Reduce an untrusted text to what fits a line of a terminal."""
    return "".join(letter for letter in text if letter.isprintable())[:max_length].strip()


def _parse_manifest(store: dict[str, Any]) -> Manifest:
    """Extract the manifest from the report of the C2PA library."""
    active = store["manifests"][store["active_manifest"]]
    signer = active.get("signature_info") or {}
    failures = store.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    codes = sorted((failure["code"] for failure in failures), key="signingCredential.untrusted".__eq__)
    return Manifest(
        _is_synthetic(store),
        _to_printable(signer.get("issuer") or "") or None,
        _to_printable(signer.get("common_name") or "") or None,
        store.get("validation_state") in ("Valid", "Trusted"),
        tuple(dict.fromkeys(_REASONS.get(code, _to_printable(code)) for code in codes)),
    )


def _is_synthetic(store: dict[str, Any]) -> bool:
    """Check whether a trained model created the file or one that it is an edit of."""
    manifests, label, seen = store["manifests"], store["active_manifest"], set[str]()
    while label in manifests and label not in seen:
        seen.add(label)
        if SYNTHETIC_SOURCE_TYPE in _source_types(manifests[label]):
            return True
        ingredients = manifests[label].get("ingredients", [])
        parents = [
            ingredient.get("active_manifest")
            for ingredient in ingredients
            if ingredient.get("relationship") == "parentOf"
        ]
        label = parents[0] if parents else None
    return False


def _source_types(manifest: dict[str, Any]) -> list[str]:
    assertions = (a for a in manifest.get("assertions", []) if a["label"].startswith("c2pa.actions"))
    actions = (action for assertion in assertions for action in assertion["data"].get("actions", []))
    return [action.get("digitalSourceType") for action in actions]
