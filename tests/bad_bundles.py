"""Every bad bundle that the format's promise names, with the code that it is refused with."""

from __future__ import annotations

import base64
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runtime.bundle.keys import fingerprint
from runtime.errors import Code
from tests.raw_bundle import BLOCK, END, MODEL, Parts, compact, header, manifest, member

ESCAPED = "/tmp/edgeward-test-was-here"  # noqa: S108 - a name that must never come to be

Make = Callable[[Parts], bytes]


@dataclass(frozen=True)
class Row:
    """One way to be bad, and the code that says so, whether the bundle is a file or a stream."""

    code: Code
    make: Make


def with_extra(raw: bytes, *, at: int = 1) -> Make:
    """A sound bundle with a further member between its files."""

    def make(parts: Parts) -> bytes:
        members = parts.file_members()
        parts.members = [*members[:at], raw, *members[at:]]
        return parts.assemble()

    return make


def in_place_of_the_first(change: Callable[[bytes], bytes]) -> Make:
    """A sound bundle whose first file's member was changed."""

    def make(parts: Parts) -> bytes:
        first, *others = parts.file_members()
        parts.members = [change(first), *others]
        return parts.assemble()

    return make


def with_files(files: dict[str, bytes]) -> Make:
    """A well signed bundle with such files beside the model."""

    def make(parts: Parts) -> bytes:
        parts.files = {"model.onnx": MODEL} | files
        return parts.assemble()

    return make


def with_manifest(data: bytes | Callable[[Parts], bytes]) -> Make:
    """A well signed bundle with any bytes as its manifest."""

    def make(parts: Parts) -> bytes:
        parts.manifest = data if isinstance(data, bytes) else data(parts)
        return parts.assemble()

    return make


def with_sig(change: Callable[[Parts, dict[str, Any]], bytes]) -> Make:
    """A bundle with a signature file made from the sound one."""

    def make(parts: Parts) -> bytes:
        parts.sig = change(parts, json.loads(parts.sig_bytes()))
        return parts.assemble()

    return make


def with_first_header(**fields: Any) -> Make:
    size = fields.pop("size", len(MODEL))
    return in_place_of_the_first(lambda old: header(b"model.onnx", size, **fields) + old[BLOCK:])


def cut(at: Callable[[bytes], int]) -> Make:
    def make(parts: Parts) -> bytes:
        good = parts.assemble()
        return good[: at(good)]

    return make


def zipped(parts: Parts) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("gate.ewb", parts.assemble())
    return stream.getvalue()


def reordered(parts: Parts) -> bytes:
    parts.members = parts.file_members()[::-1]
    return parts.assemble()


def without(index: int) -> Make:
    def make(parts: Parts) -> bytes:
        parts.members = [each for at, each in enumerate(parts.file_members()) if at != index]
        return parts.assemble()

    return make


def manifest_first(parts: Parts) -> bytes:
    sig, data = parts.sig_bytes(), parts.manifest_bytes()
    parts.front = member(b"manifest.json", data) + member(b"model.sig", sig)
    return parts.assemble()


def file_before_manifest(parts: Parts) -> bytes:
    first, *others = parts.file_members()
    parts.front = member(b"model.sig", parts.sig_bytes()) + first
    parts.members = [member(b"manifest.json", parts.manifest_bytes()), *others]
    return parts.assemble()


def unsigned(parts: Parts) -> bytes:
    parts.front = member(b"manifest.json", parts.manifest_bytes())
    return parts.assemble()


def signed_by(which: str) -> Make:
    def make(parts: Parts) -> bytes:
        parts.key = getattr(parts.keys, which)
        return parts.assemble()

    return make


def hint_of_another(parts: Parts, document: dict[str, Any]) -> bytes:
    """Signed by the release key, and says that another trusted one did."""
    return parts.signed(compact(parts.statement()), hint=fingerprint(parts.keys.operate.public_key()))


def payload_edited(parts: Parts, document: dict[str, Any]) -> bytes:
    statement = parts.statement()
    statement["predicate"]["resources"][0]["digest"] = "0" * 64
    document["dsseEnvelope"]["payload"] = base64.b64encode(compact(statement)).decode()
    return compact(document)


def signature_twice(parts: Parts, document: dict[str, Any]) -> bytes:
    document["dsseEnvelope"]["signatures"] *= 2
    return compact(document)


def without_hint(parts: Parts, document: dict[str, Any]) -> bytes:
    document["verificationMaterial"]["publicKey"] = {}
    return compact(document)


def key_doubled(parts: Parts, document: dict[str, Any]) -> bytes:
    return b'{"mediaType":"x",' + compact(document)[1:]


def other_predicate(parts: Parts, document: dict[str, Any]) -> bytes:
    return parts.signed(compact(parts.statement() | {"predicateType": "https://slsa.dev/provenance/v1"}))


def counter(number: int) -> Make:
    return with_manifest(lambda parts: json.dumps(manifest(parts.files, release_counter=number)).encode())


def changed(**fields: Any) -> Make:
    return with_manifest(lambda parts: json.dumps(manifest(parts.files, **fields)).encode())


def named_elsewhere(parts: Parts) -> bytes:
    document = manifest(parts.files)
    document["variants"][0]["file"] = "other.onnx"
    return json.dumps(document).encode()


NAMES: dict[str, Row] = {
    "traversal": Row(Code.BUNDLE_NAME_TRAVERSAL, with_extra(member(b"../neighbour/new", b"x"))),
    "traversal inside a name": Row(
        Code.BUNDLE_NAME_TRAVERSAL, with_extra(member(b"docs/../../neighbour/new", b"x"))
    ),
    "traversal in a prefix": Row(
        Code.BUNDLE_NAME_TRAVERSAL, with_extra(member(b"new", b"x", prefix=b"../neighbour"))
    ),
    "traversal that was signed": Row(Code.BUNDLE_NAME_TRAVERSAL, with_files({"../neighbour/new": b"x"})),
    "absolute path": Row(Code.BUNDLE_NAME_ABSOLUTE, with_extra(member(ESCAPED.encode(), b"x"))),
    "absolute path that was signed": Row(Code.BUNDLE_NAME_ABSOLUTE, with_files({ESCAPED: b"x"})),
    "./a//b": Row(Code.BUNDLE_NAME_FORM, with_extra(member(b"./a//b", b"x"))),
    "./a//b that was signed": Row(Code.BUNDLE_NAME_FORM, with_files({"./a//b": b"x"})),
    "newline": Row(Code.BUNDLE_NAME_CHARACTERS, with_extra(member(b"a\nb", b"x"))),
    "non-ASCII": Row(Code.BUNDLE_NAME_CHARACTERS, with_extra(member("ä.txt".encode(), b"x"))),
    "not even UTF-8": Row(Code.BUNDLE_NAME_CHARACTERS, with_extra(member(b"\xff.txt", b"x"))),
    "non-ASCII that was signed": Row(Code.BUNDLE_NAME_CHARACTERS, with_files({"ä.txt": b"x"})),
    "backslash": Row(Code.BUNDLE_NAME_CHARACTERS, with_extra(member(b"a\\b", b"x"))),
    "leading dash": Row(Code.BUNDLE_NAME_CHARACTERS, with_extra(member(b"-rf", b"x"))),
    "hidden file": Row(Code.BUNDLE_NAME_CHARACTERS, with_extra(member(b".git", b"x"))),
    "no name": Row(Code.BUNDLE_NAME_FORM, with_extra(member(b"", b"x"))),
    "256 letters": Row(Code.BUNDLE_NAME_LENGTH, with_extra(member(b"a" * 100, b"x", prefix=b"b" * 155))),
    "case collision": Row(Code.BUNDLE_NAME_CASE, with_extra(member(b"Model.onnx", b"x"))),
    "case collision that was signed": Row(Code.BUNDLE_NAME_CASE, with_files({"MODEL.onnx": b"x"})),
    "case collision of folders": Row(Code.BUNDLE_NAME_CASE, with_files({"docs/a": b"x", "Docs/b": b"x"})),
    "duplicate member": Row(Code.BUNDLE_DUPLICATE, with_extra(member(b"model.onnx", MODEL))),
    "a second signature file": Row(Code.BUNDLE_DUPLICATE, with_extra(member(b"model.sig", b"x"))),
    "a second manifest": Row(Code.BUNDLE_DUPLICATE, with_extra(member(b"manifest.json", b"{}"), at=2)),
}

MEMBERS: dict[str, Row] = {
    "directory": Row(Code.BUNDLE_MEMBER_FOLDER, with_extra(header(b"docs/", 0, kind=b"5"))),
    "symlink": Row(
        Code.BUNDLE_MEMBER_SYMLINK, with_extra(header(b"link", 0, kind=b"2", link=b"../neighbour/file"))
    ),
    "a file that became a symlink": Row(
        Code.BUNDLE_MEMBER_SYMLINK, with_first_header(kind=b"2", link=b"/etc/passwd")
    ),
    "hard link": Row(
        Code.BUNDLE_MEMBER_HARDLINK, with_extra(header(b"link", 0, kind=b"1", link=b"model.onnx"))
    ),
    "FIFO": Row(Code.BUNDLE_MEMBER_FIFO, with_extra(header(b"fifo", 0, kind=b"6"))),
    "character device": Row(Code.BUNDLE_MEMBER_DEVICE, with_extra(header(b"null", 0, kind=b"3"))),
    "block device": Row(Code.BUNDLE_MEMBER_DEVICE, with_extra(header(b"disk", 0, kind=b"4"))),
    "PAX header": Row(
        Code.BUNDLE_PAX_HEADER, with_extra(member(b"PaxHeaders/a", b"20 path=../../escape\n", kind=b"x"))
    ),
    "global PAX header": Row(
        Code.BUNDLE_PAX_HEADER, with_extra(member(b"pax_global_header", b"11 mtime=1\n", kind=b"g"), at=0)
    ),
    "GNU long name": Row(
        Code.BUNDLE_GNU_HEADER, with_extra(member(b"././@LongLink", b"a" * 300 + b"\0", kind=b"L"))
    ),
    "GNU long link": Row(
        Code.BUNDLE_GNU_HEADER, with_extra(member(b"././@LongLink", b"a" * 300 + b"\0", kind=b"K"))
    ),
    "GNU tar's mark": Row(Code.BUNDLE_GNU_HEADER, with_first_header(magic=b"ustar  \0")),
    "sparse": Row(
        Code.BUNDLE_MEMBER_SPARSE, with_extra(member(b"sparse", b"x", kind=b"S", magic=b"ustar  \0"))
    ),
    "contiguous file": Row(Code.BUNDLE_FORMAT, with_first_header(kind=b"7")),
    "old kind of a file": Row(Code.BUNDLE_FORMAT, with_first_header(kind=b"\0")),
    "setuid": Row(Code.BUNDLE_MODE, with_first_header(mode=b"0004755\0")),
    "executable": Row(Code.BUNDLE_MODE, with_first_header(mode=b"0000755\0")),
    "no ustar mark": Row(Code.BUNDLE_FORMAT, with_first_header(magic=b"")),
}

SIZES: dict[str, Row] = {
    "base-256": Row(Code.BUNDLE_SIZE_FIELD, with_first_header(size=b"\x80" + len(MODEL).to_bytes(11, "big"))),
    "base-256 of a petabyte": Row(
        Code.BUNDLE_SIZE_FIELD, with_first_header(size=b"\x80" + (1 << 50).to_bytes(11, "big"))
    ),
    "negative in base-256": Row(Code.BUNDLE_SIZE_FIELD, with_first_header(size=b"\xff" * 12)),
    "letters": Row(Code.BUNDLE_SIZE_FIELD, with_first_header(size=b"garbage size")),
    "nothing": Row(Code.BUNDLE_SIZE_FIELD, with_first_header(size=bytes(12))),
    "with a sign": Row(Code.BUNDLE_SIZE_FIELD, with_first_header(size=b"-0000000001\0")),
    "with spaces": Row(Code.BUNDLE_SIZE_FIELD, with_first_header(size=b"       3244\0")),
    "8 GiB": Row(Code.BUNDLE_TOO_LARGE, with_first_header(size=b"77777777777\0")),
    "8 GiB of signature": Row(
        Code.BUNDLE_TOO_LARGE, lambda parts: header(b"model.sig", b"77777777777\0") + bytes(BLOCK)
    ),
    "2 MiB of signature": Row(
        Code.BUNDLE_TOO_LARGE, lambda parts: member(b"model.sig", bytes(2 << 20)) + END
    ),
    "one byte more": Row(Code.BUNDLE_DIGEST, with_first_header(size=len(MODEL) + 1)),
}

CONTENT: dict[str, Row] = {
    "empty": Row(Code.BUNDLE_TRUNCATED, lambda parts: b""),
    "gzip": Row(Code.BUNDLE_OTHER_FORMAT, lambda parts: gzip.compress(parts.assemble())),
    "zip": Row(Code.BUNDLE_OTHER_FORMAT, zipped),
    "text": Row(Code.BUNDLE_FORMAT, lambda parts: b"hello\n" * 200),
    "wrong order of files": Row(Code.BUNDLE_ORDER, reordered),
    "manifest before signature": Row(Code.BUNDLE_ORDER, manifest_first),
    "a file before the manifest": Row(Code.BUNDLE_ORDER, file_before_manifest),
    "unsigned file": Row(Code.BUNDLE_UNSIGNED_FILE, with_extra(member(b"more.bin", b"x"), at=2)),
    "unsigned file between": Row(Code.BUNDLE_UNSIGNED_FILE, with_extra(member(b"more.bin", b"x"))),
    "unsigned file in the manifest": Row(
        Code.BUNDLE_UNSIGNED_FILE,
        with_manifest(lambda parts: json.dumps(manifest(parts.files | {"more.bin": b"x"})).encode()),
    ),
    "last file missing": Row(Code.BUNDLE_MISSING_FILE, without(1)),
    "first file missing": Row(Code.BUNDLE_MISSING_FILE, without(0)),
    "cut in the signature's header": Row(Code.BUNDLE_TRUNCATED, cut(lambda good: 300)),
    "cut in the signature": Row(Code.BUNDLE_TRUNCATED, cut(lambda good: 700)),
    "cut in a file": Row(Code.BUNDLE_TRUNCATED, cut(lambda good: len(good) - 3000)),
    "cut between two files": Row(Code.BUNDLE_TRUNCATED, cut(lambda good: len(good) - 2048)),
    "cut before the end mark": Row(Code.BUNDLE_TRUNCATED, cut(lambda good: len(good) - 1024)),
    "cut by one byte": Row(Code.BUNDLE_TRUNCATED, cut(lambda good: len(good) - 1)),
    "trailing byte": Row(Code.BUNDLE_TRAILING, lambda parts: parts.assemble() + b"\0"),
    "trailing blocks, as tar pads": Row(Code.BUNDLE_TRAILING, lambda parts: parts.assemble() + bytes(9216)),
    "two bundles": Row(Code.BUNDLE_TRAILING, lambda parts: parts.assemble() * 2),
    "changed data": Row(
        Code.BUNDLE_DIGEST, in_place_of_the_first(lambda old: old.replace(b"a model", b"A model", 1))
    ),
    "padding with data": Row(Code.BUNDLE_FORMAT, in_place_of_the_first(lambda old: old[:-1] + b"x")),
    "damaged header": Row(Code.BUNDLE_FORMAT, in_place_of_the_first(lambda old: old[:5] + b"?" + old[6:])),
    "damaged end mark": Row(Code.BUNDLE_FORMAT, lambda parts: parts.assemble()[:-1] + b"x"),
}

SIGNATURES: dict[str, Row] = {
    "unsigned": Row(Code.BUNDLE_UNSIGNED, unsigned),
    "wrong key": Row(Code.BUNDLE_UNTRUSTED_KEY, signed_by("stranger")),
    "key of the wrong role": Row(Code.BUNDLE_KEY_ROLE, signed_by("operate")),
    "key for another name": Row(Code.BUNDLE_KEY_NAME, signed_by("door")),
    "forged hint": Row(Code.BUNDLE_FORGED_HINT, with_sig(hint_of_another)),
    "missing hint": Row(Code.BUNDLE_MISSING_HINT, with_sig(without_hint)),
    "edited payload": Row(Code.BUNDLE_SIGNATURE, with_sig(payload_edited)),
    "second signature": Row(Code.BUNDLE_SECOND_SIGNATURE, with_sig(signature_twice)),
    "wrong predicate": Row(Code.BUNDLE_PREDICATE, with_sig(other_predicate)),
    "duplicate JSON key": Row(Code.BUNDLE_DUPLICATE_JSON_KEY, with_sig(key_doubled)),
    "signature file of text": Row(Code.BUNDLE_SIGNATURE_FILE, with_sig(lambda parts, document: b"hello")),
    "signature file with spaces": Row(
        Code.BUNDLE_SIGNATURE_FILE, with_sig(lambda parts, document: json.dumps(document).encode())
    ),
}

MANIFESTS: dict[str, Row] = {
    "older counter": Row(Code.BUNDLE_ROLLBACK, counter(6)),
    "same counter with another digest": Row(Code.BUNDLE_COUNTER_REUSED, counter(7)),
    "manifest of text": Row(Code.BUNDLE_MANIFEST, with_manifest(b"hello")),
    "manifest with a duplicate key": Row(
        Code.BUNDLE_MANIFEST,
        with_manifest(lambda parts: b'{"schema": 1,' + json.dumps(manifest(parts.files)).encode()[1:]),
    ),
    "manifest with an unknown key": Row(Code.BUNDLE_MANIFEST, changed(colour="red")),
    "manifest with a wrong type": Row(Code.BUNDLE_MANIFEST, changed(release_counter="7")),
    "variant that names an unsigned file": Row(Code.BUNDLE_MANIFEST, with_manifest(named_elsewhere)),
    "unknown feature": Row(Code.BUNDLE_UNSUPPORTED, changed(requires=["telepathy"])),
    "newer schema": Row(Code.BUNDLE_UNSUPPORTED, changed(schema=2)),
}


ROWS: dict[str, Row] = {
    f"{group}: {name}": row
    for group, rows in (
        ("name", NAMES),
        ("member", MEMBERS),
        ("size", SIZES),
        ("content", CONTENT),
        ("signature", SIGNATURES),
        ("manifest", MANIFESTS),
    )
    for name, row in rows.items()
}
