"""Bundles put together byte by byte: a header, a member and a signature may say anything.

Not by ``runtime.bundle.container``: what a ``Writer`` refuses to write must be written.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from runtime.bundle import signature
from runtime.bundle.keys import fingerprint

BLOCK = 512
END = bytes(2 * BLOCK)
MODEL, NOTES = b"a model of no use" * 100, b"trained on the gate's camera\n"


def header(
    name: bytes,
    size: int | bytes,
    *,
    kind: bytes = b"0",
    mode: bytes = b"0000644\0",
    magic: bytes = b"ustar\x0000",
    link: bytes = b"",
    prefix: bytes = b"",
) -> bytes:
    """A header with a right checksum, whatever stands in it. A ``size`` in bytes is taken as it is."""
    digits = size if isinstance(size, bytes) else b"%011o\0" % size
    block = bytearray(BLOCK)
    for start, value in (
        (0, name),
        (100, mode),
        (108, b"0000000\0" * 2),
        (124, digits),
        (136, b"%011o\0" % 0),
        (148, b" " * 8),
        (156, kind),
        (157, link),
        (257, magic),
        (345, prefix),
    ):
        block[start : start + len(value)] = value
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(name: bytes, data: bytes, **fields: Any) -> bytes:
    """Header, data and padding."""
    return header(name, len(data), **fields) + data + bytes(-len(data) % BLOCK)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def role_of(name: str) -> str:
    return "model" if name.endswith(".onnx") else "data"


def manifest(files: dict[str, bytes], **changes: Any) -> dict[str, Any]:
    tensor = {"name": "images", "dtype": "float32", "shape": [1, 3, 32, 32]}
    output = {"name": "output", "dtype": "float32", "shape": [1, "boxes", 7]}
    variant = {"id": "cpu", "engine": "onnxruntime", "file": "model.onnx"}
    listed = [
        {"path": name, "size": len(data), "sha256": sha256(data), "role": role_of(name)}
        for name, data in files.items()
    ]
    return {
        "schema": 1,
        "name": "gate",
        "version": "1.2.3",
        "release_counter": 8,
        "task": "detection",
        "labels": ["person", "car"],
        "files": listed,
        "variants": [variant | {"inputs": [tensor], "outputs": [output]}],
        "preprocess": {"fit": "letterbox_topleft", "order": "bgr"},
        "postprocess": {"decoder": "yolox"},
    } | changes


@dataclass
class Keys:
    """A release key, one for bundles of another name, one to operate, and one that nobody trusts."""

    release: ec.EllipticCurvePrivateKey
    door: ec.EllipticCurvePrivateKey
    operate: ec.EllipticCurvePrivateKey
    stranger: ec.EllipticCurvePrivateKey


@dataclass
class Parts:
    """A sound bundle in its parts; ``assemble`` puts them together as they are then."""

    keys: Keys
    files: dict[str, bytes] = field(default_factory=lambda: {"model.onnx": MODEL, "docs/NOTES.txt": NOTES})
    key: ec.EllipticCurvePrivateKey | None = None
    manifest: bytes | None = None
    sig: bytes | None = None
    front: bytes | None = None
    members: list[bytes] | None = None
    end: bytes = END

    def manifest_bytes(self) -> bytes:
        return json.dumps(manifest(self.files)).encode() if self.manifest is None else self.manifest

    def sig_bytes(self) -> bytes:
        if self.sig is not None:
            return self.sig
        resources = {name: sha256(data) for name, data in self.files.items()}
        resources["manifest.json"] = sha256(self.manifest_bytes())
        return signature.sign(resources, name="gate", key=self.key or self.keys.release)

    def file_members(self) -> list[bytes]:
        return [member(name.encode(), data) for name, data in self.files.items()]

    def assemble(self) -> bytes:
        front = self.front
        if front is None:
            front = member(b"model.sig", self.sig_bytes()) + member(b"manifest.json", self.manifest_bytes())
        members = self.file_members() if self.members is None else self.members
        return front + b"".join(members) + self.end

    def statement(self) -> dict[str, Any]:
        """What the release key signed."""
        payload = json.loads(self.sig_bytes())["dsseEnvelope"]["payload"]
        return dict(json.loads(base64.b64decode(payload)))

    def signed(self, payload: bytes, *, hint: str | None = None) -> bytes:
        """A signature file of any payload, well signed by the release key."""
        key = self.keys.release
        pae = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)
        document = json.loads(self.sig_bytes())
        document["verificationMaterial"]["publicKey"]["hint"] = hint or fingerprint(key.public_key())
        document["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
        raw = key.sign(pae, ec.ECDSA(hashes.SHA256()))
        document["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(raw).decode()
        return compact(document)


def compact(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
