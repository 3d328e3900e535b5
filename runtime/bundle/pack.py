"""From the author's folder to an unsigned ``.ewb``: the same folder gives the same bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
from msgspec.structs import replace

from runtime.bundle import features, pack_golden
from runtime.bundle.author import (
    AUTHOR_NAME,
    Author,
    BundleTable,
    GoldenTable,
    VariantTable,
    author_key,
    load,
    refuse,
)
from runtime.bundle.check import check_manifest, problems
from runtime.bundle.container import CHUNK, MAX_FILES_BYTES, MAX_MANIFEST, Writer
from runtime.bundle.decoders import tasks
from runtime.bundle.digests import FileDigest, checked
from runtime.bundle.golden_messages import GOLDEN_FOLDER, RESULTS, GoldenMade
from runtime.bundle.manifest import MANIFEST_NAME, SCHEMA, FileEntry, Golden, Manifest, check_path
from runtime.bundle.onnx_file import external_files
from runtime.bundle.progress import Progress, no_progress
from runtime.bundle.regular_file import BUNDLE, open_regular
from runtime.bundle.replace import check_target, replacing
from runtime.bundle.strict import Mismatch, convert
from runtime.bundle.ustar import BLOCK, encode_header, padded
from runtime.errors import Code, EdgewardError, from_os_error

BLOCK_SIZE = 32768
# Their digests are what grows in the child that verifies: so it stays small, whatever the bundle's size.
MAX_BLOCKS = 8_000
_MAX_LABELS_BYTES = 4 << 20


class Packed(NamedTuple):
    """What is in the bundle, and how its golden results came about, where it has some."""

    manifest: Manifest
    golden: GoldenMade | None


class _Source(msgspec.Struct, frozen=True):
    """A file to pack: its name in the bundle, what it is, its key in ``bundle.toml``, the folder it is in."""

    path: str
    role: str
    key: str
    folder: Path


def pack(folder: Path, out: Path, *, progress: Progress = no_progress) -> Manifest:
    """``pack_bundle`` for those who want the manifest alone."""
    return pack_bundle(folder, out, progress=progress).manifest


def pack_bundle(folder: Path, out: Path, *, progress: Progress = no_progress) -> Packed:
    """Pack the author's ``folder`` into the bundle ``out``, not signed.

    Args:
        folder: holds ``bundle.toml`` and the files that it names.
        out: the ``.ewb`` to write; replaced as a whole when everything went well.
        progress: told how far it is.

    Raises:
        EdgewardError: ``BUNDLE_*``, naming file and key; ``SYSTEM_*`` when writing fails; what loading and
            running a model can raise, where golden results are made.
    """
    author = load(folder)
    sources = _sources(author, folder)
    read = [AUTHOR_NAME, *(source.path for source in sources), author.bundle.labels_file]
    check_target(out, keep=[folder / name for name in read if name])
    entries = _entries(sources, MAX_BLOCKS, folder, progress)
    manifest = _manifest(author, entries, folder)
    _check_external_data(author, folder)
    golden = None
    with ExitStack() as stack:
        if author.golden is not None:
            scratch, golden = stack.enter_context(pack_golden.made(author, manifest, folder, progress))
            check_target(out, keep=[folder / source.partition("#")[0] for source in golden.sources])
            sources += [_Source(name, "golden", "golden", scratch) for name in (*golden.files, RESULTS)]
            left = MAX_BLOCKS - sum(len(entry.blocks) for entry in entries)
            entries += _entries(sources[len(entries) :], left, folder, progress)
            manifest = _with_golden(manifest, entries, golden, author.golden, folder)
        manifest = replace(manifest, requires=features.used(manifest))
        _write(manifest, sources, out, folder, progress)
    return Packed(manifest, golden)


def _with_golden(
    manifest: Manifest,
    entries: tuple[FileEntry, ...],
    made: GoldenMade,
    table: GoldenTable,
    folder: Path,
) -> Manifest:
    golden = Golden(
        frames=made.files,
        results=RESULTS,
        count=len(made.sources),
        reference=made.reference,
        metric=pack_golden.metric(table, manifest),
    )
    whole = replace(manifest, files=entries, golden=golden)
    _check(whole, table=None, folder=folder)
    return whole


def _write(
    manifest: Manifest, sources: Sequence[_Source], out: Path, folder: Path, progress: Progress
) -> None:
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    if len(data) > MAX_MANIFEST:
        what = f"the manifest has {len(data)} bytes, over {MAX_MANIFEST}"
        raise EdgewardError(Code.BUNDLE_MANIFEST, what, where=str(folder), remedy="put fewer files into it")
    total = sum(entry.size for entry in manifest.files)
    if (needed := sum(BLOCK + padded(entry.size) for entry in manifest.files)) > MAX_FILES_BYTES:
        raise _too_much(needed, folder)
    with replacing(out) as stream:
        writer = Writer(stream)
        writer.add(MANIFEST_NAME, len(data), (data,))
        done = 0
        for entry, source in zip(manifest.files, sources, strict=True):
            writer.add(entry.path, entry.size, _unchanged(source.folder / entry.path, entry))
            done += entry.size
            progress("packed", done, total)
        writer.finish()


def _too_much(needed: int, folder: Path) -> EdgewardError:
    what = f"the files need {needed} bytes in a bundle, over {MAX_FILES_BYTES}"
    return EdgewardError(Code.BUNDLE_FORMAT, what, where=str(folder), remedy="use a smaller model")


def _check_external_data(author: Author, folder: Path) -> None:
    """Weights that an ONNX file keeps beside it are not signed with it, and no device would load them.

    Raises:
        EdgewardError: ``BUNDLE_MANIFEST``, naming the variant and the file.
    """
    toml = folder / AUTHOR_NAME
    for index, variant in enumerate(author.variants):
        if variant.engine != "onnxruntime" and not variant.file.lower().endswith(".onnx"):
            continue
        key = f"variant[{index}].file"
        stream, _ = _open(variant.file, folder, key)
        try:
            names = set(external_files(b"".join(_read(stream, folder / variant.file))))
        except ValueError:
            # No ONNX file: nothing is loaded from it, nor from others beside it.
            continue
        if names:
            listed = ", ".join(repr(name[:80]) for name in sorted(names)[:5])
            what = f"{variant.file!r} keeps weights in another file, {listed}, which is not signed with it"
            remedy = "save it as one file: onnx.save(onnx.load(NAME), NAME, save_as_external_data=False)"
            raise refuse(toml, key, what, remedy)


def _sources(author: Author, folder: Path) -> list[_Source]:
    """Every file once, models first, in the order of ``bundle.toml``."""
    toml = folder / AUTHOR_NAME
    sources: dict[str, _Source] = {}
    for index, variant in enumerate(author.variants):
        for key in ("file", "weights"):
            path = getattr(variant, key)
            if path:
                sources.setdefault(path, _Source(path, "model", f"variant[{index}].{key}", folder))
    for index, table in enumerate(author.files):
        key = f"file[{index}].path"
        if author.golden is not None and table.path.startswith(f"{GOLDEN_FOLDER}/"):
            what = f"the folder {GOLDEN_FOLDER!r} is for what [golden] makes"
            raise refuse(toml, key, what, "use another folder")
        if table.path in sources:
            what = f"the file {table.path!r} is in the bundle already"
            raise refuse(toml, key, what, "name each file once")
        sources[table.path] = _Source(table.path, table.role, key, folder)
    for source in sources.values():
        check_path(source.path, where=f"{toml}: {source.key}")
        try:
            encode_header(source.path, 0)
        except ValueError as error:
            raise refuse(toml, source.key, str(error), "use shorter names") from error
    return list(sources.values())


def _open(path: str, folder: Path, key: str) -> tuple[BinaryIO, int]:
    """A file of the author's folder; a link that leads out of the folder is refused."""
    toml = folder / AUTHOR_NAME
    file = folder / path
    try:
        inside = file.resolve(strict=True).is_relative_to(folder.resolve())
    except FileNotFoundError as error:
        where, remedy = f"{toml}: {key}", "check the name; it is relative to bundle.toml"
        raise EdgewardError(Code.BUNDLE_MISSING, f"no file {path!r}", where=where, remedy=remedy) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise refuse(toml, key, f"{path!r} cannot be found: {error}", "check the name") from error
    if not inside:
        raise refuse(toml, key, f"{path!r} leads out of the folder", "copy the file into the folder")
    return open_regular(file, BUNDLE, follow_links=True)


def _entries(
    sources: Sequence[_Source], most_blocks: int, folder: Path, progress: Progress
) -> tuple[FileEntry, ...]:
    """``most_blocks``: that the manifest has room for; ``folder``: the author's, for errors."""
    sizes = []
    for source in sources:
        stream, size = _open(source.path, source.folder, source.key)
        stream.close()
        sizes.append(size)
    total = sum(sizes)
    needed = sum(BLOCK + padded(size) for size in sizes)
    if needed > MAX_FILES_BYTES:
        raise _too_much(needed, folder)
    block_size = _block_size(sizes, most_blocks)
    entries = []
    done = 0
    for source, size in zip(sources, sizes, strict=True):
        digest = FileDigest(block_size)
        stream, _ = _open(source.path, source.folder, source.key)
        for chunk in _limited(_read(stream, source.folder / source.path), size):
            digest.update(chunk)
            done += len(chunk)
            progress("hashed", done, total)
        if digest.size != size:
            raise _changed(source.folder / source.path)
        raw = {
            "path": source.path,
            "size": digest.size,
            "sha256": digest.sha256,
            "role": source.role,
            "block_size": block_size,
            "blocks": digest.finish(),
        }
        entries.append(msgspec.convert(raw, FileEntry))
    return tuple(entries)


def _block_size(sizes: list[int], most: int) -> int:
    """32 KiB, or more where the list of block digests would not fit into a manifest."""
    size = BLOCK_SIZE
    while sum(-(-total // size) for total in sizes) > max(most, len(sizes)):
        size *= 2
    return size


def _read(stream: BinaryIO, path: Path) -> Iterator[bytes]:
    with stream:
        try:
            while data := stream.read(CHUNK):
                yield data
        except OSError as error:
            raise from_os_error(error, where=str(path), fallback=Code.BUNDLE_UNREADABLE) from error


def _unchanged(path: Path, entry: FileEntry) -> Iterator[bytes]:
    """The file's bytes once more, refused when they are not those that were hashed."""
    stream, _ = open_regular(path, BUNDLE, follow_links=True)
    try:
        yield from checked(entry, _limited(_read(stream, path), entry.size), where=str(path))
    except EdgewardError as error:
        if error.code is not Code.BUNDLE_DIGEST:
            raise
        raise _changed(path) from error


def _changed(path: Path) -> EdgewardError:
    what = "the file changed while it was packed"
    return EdgewardError(Code.BUNDLE_UNREADABLE, what, where=str(path), remedy="try again")


def _limited(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """``chunks`` up to the first one that is too much, so that a growing file cannot fill the disk."""
    for chunk in chunks:
        size -= len(chunk)
        if size < 0:
            return
        yield chunk


def _manifest(author: Author, entries: tuple[FileEntry, ...], folder: Path) -> Manifest:
    table = author.bundle
    toml = folder / AUTHOR_NAME
    raw = {
        "schema": SCHEMA,
        "name": table.name,
        "version": table.version,
        "release_counter": table.release_counter,
        "min_runtime": table.min_runtime,
        "task": table.task or tasks(author.postprocess)[0],
        "description": table.description,
        "license": table.license,
        "labels": table.labels or (_labels(table.labels_file, folder) if table.labels_file else ()),
        "files": msgspec.to_builtins(entries),
        "variants": msgspec.to_builtins(tuple(map(VariantTable.variant, author.variants))),
        "preprocess": msgspec.to_builtins(author.preprocess),
        "postprocess": msgspec.to_builtins(author.postprocess),
        "budgets": msgspec.to_builtins(author.budgets),
    }
    try:
        manifest = convert(raw, Manifest)
    except Mismatch as error:
        # The types were checked key by key: what is left are lengths, such as no variant at all.
        key = _author_key(error.key, table)
        raise refuse(toml, key, error.what, "see docs/ref/manifest.md") from error
    _check(manifest, table=table, folder=folder)
    return manifest


def _check(manifest: Manifest, *, table: BundleTable | None, folder: Path) -> None:
    toml = folder / AUTHOR_NAME
    for problem in problems(manifest):
        key = author_key(problem.key) if table is None else _author_key(problem.key, table)
        raise refuse(toml, key, problem.what, problem.remedy)
    check_manifest(manifest, where=str(toml))


def _author_key(key: str, table: BundleTable) -> str:
    if table.labels_file and re.match(r"labels\b", key):
        return "bundle.labels_file"
    return author_key(key)


def _labels(name: str, folder: Path) -> tuple[str, ...]:
    toml, key = folder / AUTHOR_NAME, "bundle.labels_file"
    stream, size = _open(name, folder, key)
    if size > _MAX_LABELS_BYTES:
        stream.close()
        raise refuse(
            toml, key, f"{name!r} is over {_MAX_LABELS_BYTES} bytes", "give a text file, one label a line"
        )
    try:
        text = b"".join(_read(stream, folder / name)).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refuse(
            toml, key, f"{name!r} is not UTF-8 text", "give a text file, one label a line"
        ) from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())
