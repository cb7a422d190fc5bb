"""C2PA manifests (Content Credentials): signed with the certificate that the environment names, and read.

Nothing here reaches the network, but for the timestamp authority where one is configured.
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
"""Environment variables: a PEM file of the certificate chain, the signer's first, without the root's or with
it; a PEM file of its private key; the address of a timestamp authority (RFC 3161), or none."""

SYNTHETIC_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's word for what a trained model has made."""

INSTALL_HINT = "pip install 'faceanim[c2pa]'"

_TYPES = {".mp4": MP4, ".gif": GIF, ".png": PNG}
_SETTINGS = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": True},
    # An identity in a manifest may be looked up on the web, whatever hosts are allowed.
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
    "signingCredential.expired": "the certificate has expired, and nothing says when it signed",
    "signingCredential.untrusted": "the signer is on no trust list",
}
_TEST_IMAGE = bytes.fromhex("47494638396101000100 800000 000000ffffff 2c00000000010001000002024401003b")
"""The smallest picture: what a trial signs."""


@dataclass(frozen=True)
class SigningConfig:
    """Where the certificates and the key are, and the address of a timestamp authority."""

    certificates: Path
    key: Path
    timestamps: str | None


def read_signing_config() -> SigningConfig | None:
    """What the environment says of a certificate; None where it says nothing.

    Raises:
        FaceanimError: it says half of it.
    """
    certificates, key = os.environ.get(CERT_VARIABLE), os.environ.get(KEY_VARIABLE)
    if not certificates and not key:
        return None
    if not certificates or not key:
        given, missing = (CERT_VARIABLE, KEY_VARIABLE) if certificates else (KEY_VARIABLE, CERT_VARIABLE)
        raise FaceanimError(f"{given} is set and {missing} is not: set both to sign, or neither")
    return SigningConfig(Path(certificates), Path(key), os.environ.get(TSA_VARIABLE) or None)


@dataclass(frozen=True)
class Signer:
    """A certificate that signs: checked before there is anything to sign, so that no work is lost to it."""

    _context: Any = field(repr=False)

    @classmethod
    def from_environment(cls) -> "Signer | None":
        """The certificate that the environment names; None if it names none.

        A picture of one pixel is signed with it, and again with a timestamp where an authority is configured.

        Raises:
            FaceanimError: it is half configured, can't be read or does not sign, or the extra is not
                installed; the line names the variable, and nothing that is in the files.
        """
        where = read_signing_config()
        if where is None:
            return None
        if not is_c2pa_available():
            raise FaceanimError(
                f"{CERT_VARIABLE} is set and nothing here signs: {INSTALL_HINT}, "
                f"or unset it and {KEY_VARIABLE}"
            )
        credentials = _load_credentials(
            _read_file(CERT_VARIABLE, where.certificates), _read_file(KEY_VARIABLE, where.key)
        )
        refused = (
            f"C2PA refuses the certificate of {CERT_VARIABLE}; "
            "it has to be valid, and for e-mail or documents"
        )
        signing = cls._tested(refused, *credentials)
        if where.timestamps is None:
            return signing
        silent = (
            f"the timestamp authority of {TSA_VARIABLE} gives no timestamp; mend its address, or unset it"
        )
        return cls._tested(silent, *credentials, where.timestamps)

    @classmethod
    def _tested(cls, refused: str, *credentials: Any) -> "Signer":
        with _wrap_c2pa_errors(refused):
            signing = cls(_context(*credentials))
            signing._embed(BytesIO(_TEST_IMAGE), BytesIO(), GIF, "trial")
        return signing

    def sign(self, path: Path) -> None:
        """Embed a manifest in an MP4, a GIF, a PNG, or each PNG of a folder; a file is replaced as a whole.

        It says that a trained model made the file, and with which faceanim. The portrait is no ingredient,
        and there is no thumbnail: nobody's picture travels along. Each file gets a timestamp of its own.

        Raises:
            FaceanimError: it can't be signed; it stays as it was.
        """
        for file in sorted(path.glob("*.png")) if path.is_dir() else [path]:
            with (
                _wrap_c2pa_errors(
                    f"{file} is written, but can't be signed (a full disk, or {TSA_VARIABLE}?)"
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


def _context(algorithm: str, certificates: bytes, key: bytes, timestamps: str | None = None) -> Any:
    import c2pa

    info = c2pa.C2paSignerInfo(algorithm, certificates, key, timestamps)
    return c2pa.Context.from_dict(_SETTINGS, c2pa.Signer.from_info(info))


def _build_definition(title: str) -> dict[str, Any]:
    agent = {"name": "faceanim", "version": __version__}
    action = {"action": "c2pa.created", "softwareAgent": agent, "digitalSourceType": SYNTHETIC_SOURCE_TYPE}
    # `created`: the signer answers for it. The specification wants that of how an asset came to be.
    assertion = {"label": "c2pa.actions.v2", "created": True, "data": {"actions": [action]}}
    return {"title": title, "claim_generator_info": [agent], "assertions": [assertion]}


def _read_file(variable: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FaceanimError(f"{variable} names {path}, which can't be read: {error.strerror}") from None


def _load_credentials(certificates: bytes, key: bytes) -> tuple[str, bytes, bytes]:
    """C2PA's name of the key's algorithm, and both as the library wants them: certificates alone, PKCS#8."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as forms

    try:
        chain = x509.load_pem_x509_certificates(certificates)
        owner = chain[0].public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise FaceanimError(f"{CERT_VARIABLE} names a file without a certificate in PEM") from None
    try:
        private = forms.load_pem_private_key(key, None)
    except TypeError:
        raise FaceanimError(
            f"the key of {KEY_VARIABLE} has a password; write it without (`openssl pkey`)"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise FaceanimError(f"{KEY_VARIABLE} names a file without a private key in PEM") from None
    if private.public_key() != owner:
        raise FaceanimError(
            f"the key of {KEY_VARIABLE} is not that of the first certificate of {CERT_VARIABLE}"
        )
    plain = private.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    return _algorithm(private), b"".join(one.public_bytes(forms.Encoding.PEM) for one in chain), plain


def _algorithm(key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    curve = key.curve.name if isinstance(key, ec.EllipticCurvePrivateKey) else ""
    if curve not in _CURVES:
        raise FaceanimError(
            f"{KEY_VARIABLE} names a key of a kind that C2PA does not know: use P-256, Ed25519 or RSA"
        )
    return _CURVES[curve]


@contextmanager
def _wrap_c2pa_errors(what: str) -> Iterator[None]:
    """Put what C2PA does not like into a line; an address in it may hold a password."""
    import c2pa

    try:
        yield
    except c2pa.C2paError as error:
        why = str(error).partition(": ")[2] or str(error)
        raise FaceanimError(f"{what}: {_to_printable(re.sub(r'[^ ]*://[^ ]*', '...', why))}") from None


def _to_printable(text: str, most: int = 200) -> str:
    """A text that anybody may have written, fit for a line of a terminal."""
    return "".join(letter for letter in text if letter.isprintable())[:most].strip()


@dataclass(frozen=True)
class Manifest:
    """What a file's manifest says.

    A valid one says: somebody with this certificate signed this file, and nobody has changed it since.
    Whether he is who he says is for trust lists to tell, of which none is used here.

    Attributes:
        synthetic: whether a trained model made the file, or the one that it is an edit of.
        issuer: the organization on the signer's certificate.
        common_name: the name on it.
        valid: whether signature and file agree.
        reasons: why not, and what else speaks against it, in plain words.
    """

    synthetic: bool
    issuer: str | None
    common_name: str | None
    valid: bool
    reasons: tuple[str, ...]


def is_c2pa_available() -> bool:
    """Whether the extra that reads and signs manifests is installed."""
    return find_spec("c2pa") is not None


def read_manifest(path: Path) -> Manifest | None:
    """The manifest embedded in an MP4, MOV, GIF, PNG, JPEG or WebP; None without one, or without the extra.

    One that is kept on the web is not fetched, and so is none.

    Raises:
        FaceanimError: there is no such file, or it may not be read.
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
        return Manifest(False, None, None, False, ("it is damaged",))
    except errors:
        # No manifest, one that lies elsewhere, or a file that is none of its kind: the last others will tell.
        return None


def _parse_manifest(store: dict[str, Any]) -> Manifest:
    """The manifest from c2pa's report."""
    active = store["manifests"][store["active_manifest"]]
    signer = active.get("signature_info") or {}
    failures = store.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    codes = sorted((one["code"] for one in failures), key="signingCredential.untrusted".__eq__)
    return Manifest(
        _is_synthetic(store),
        _to_printable(signer.get("issuer") or "") or None,
        _to_printable(signer.get("common_name") or "") or None,
        store.get("validation_state") in ("Valid", "Trusted"),
        tuple(dict.fromkeys(_REASONS.get(code, _to_printable(code)) for code in codes)),
    )


def _is_synthetic(store: dict[str, Any]) -> bool:
    """Whether the file, or one that it is an edit of, was made by a trained model."""
    manifests, label, seen = store["manifests"], store["active_manifest"], set[str]()
    while label in manifests and label not in seen:
        seen.add(label)
        if SYNTHETIC_SOURCE_TYPE in _source_types(manifests[label]):
            return True
        ingredients = manifests[label].get("ingredients", [])
        parents = [one.get("active_manifest") for one in ingredients if one.get("relationship") == "parentOf"]
        label = parents[0] if parents else None
    return False


def _source_types(manifest: dict[str, Any]) -> list[str]:
    assertions = (a for a in manifest.get("assertions", []) if a["label"].startswith("c2pa.actions"))
    actions = (action for assertion in assertions for action in assertion["data"].get("actions", []))
    return [action.get("digitalSourceType") for action in actions]
