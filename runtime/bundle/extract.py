"""Takes single files out of a verified bundle."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from runtime.bundle import archive
from runtime.bundle.archive import Verified
from runtime.bundle.keys import load_trusted
from runtime.bundle.manifest import MANIFEST_NAME, SIGNATURE_NAME
from runtime.bundle.staging import folders_for, sync_folder
from runtime.errors import Code, EdgewardError, from_os_error


def extract(path: Path, keys: Sequence[Path], names: Sequence[str], out: Path) -> Verified:
    """Verify the whole bundle and put these files of it into ``out``; all of them or none.

    Args:
        path: the bundle.
        keys: public key files of whoever may sign.
        names: as in the manifest; ``manifest.json`` and ``model.sig`` too.
        out: a folder, made where it is missing; a file in a folder of the bundle lies in one here.

    Raises:
        EdgewardError: ``USAGE`` for a name that the bundle has not, or that is taken in ``out``;
            ``BUNDLE_*``, ``KEY_*``, ``SYSTEM_*``.
    """
    trusted = load_trusted(keys)
    with archive.open_archive(path) as reader, ExitStack() as stack:
        front = archive.verify_front(reader, trusted)
        known = [SIGNATURE_NAME, MANIFEST_NAME, *(entry.path for entry in front.verified.manifest.files)]
        for name in names:
            _check(name, known, path, out)
        places = {name: (out / name).absolute() for name in names}
        for place in places.values():
            stack.enter_context(folders_for(place.parent))
        taken = stack.enter_context(_beside(places))
        archive.verify_rest(reader, front, taken)
        taken.place()
        return front.verified


def _check(name: str, known: Sequence[str], bundle: Path, out: Path) -> None:
    if name not in known:
        what, remedy = f"there is no file {name!r} in it", "see 'edgeward bundle inspect' for their names"
        raise EdgewardError(Code.USAGE, what, where=str(bundle), remedy=remedy)
    if os.path.lexists(out / name):
        what, remedy = "it exists already", "remove it, or name another folder with --out"
        raise EdgewardError(Code.USAGE, what, where=str(out / name), remedy=remedy)


class _Beside:
    """Takes the wanted files of an archive (an ``archive.Sink``) beside their places."""

    def __init__(self, places: dict[str, Path]) -> None:
        self._places = places
        self._written: dict[Path, Path] = {}

    def put(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write one file, or read past it."""
        place = self._places.get(name)
        if place is None:
            for _ in chunks:
                pass
            return
        try:
            descriptor, beside = tempfile.mkstemp(prefix=".edgeward-", dir=place.parent)
            self._written[place] = Path(beside)
            with os.fdopen(descriptor, "wb") as stream:
                for chunk in chunks:
                    stream.write(chunk)
                stream.flush()
                os.fsync(descriptor)
        except OSError as error:
            raise from_os_error(error, where=str(place), fallback=Code.SYSTEM_IO) from error

    def place(self) -> None:
        """Give the files their names, once the archive was read to its end; none is overwritten."""
        done: list[Path] = []
        try:
            for place, beside in self._written.items():
                beside.chmod(0o644)
                _name(beside, place)
                done.append(place)
            for folder in {place.parent for place in done}:
                sync_folder(folder)
        except BaseException as error:
            for taken in done:
                with suppress(OSError):
                    taken.unlink()
            if isinstance(error, OSError):
                raise from_os_error(error, where=str(place), fallback=Code.SYSTEM_IO) from error
            raise

    def clean(self) -> None:
        """Remove what lies beside."""
        for beside in self._written.values():
            with suppress(OSError):
                beside.unlink()


def _name(beside: Path, place: Path) -> None:
    """Call a file ``place``, unless that name is taken.

    Raises:
        OSError: ``FileExistsError`` among others.
    """
    try:
        os.link(beside, place)
    except FileExistsError:
        raise
    except OSError:
        # A stick may know no hard links. Reserved first, since a rename would replace what is there.
        os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            beside.rename(place)
        except BaseException:
            place.unlink()
            raise


@contextmanager
def _beside(places: dict[str, Path]) -> Iterator[_Beside]:
    taken = _Beside(places)
    try:
        yield taken
    finally:
        taken.clean()
