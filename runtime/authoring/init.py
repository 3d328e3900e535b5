"""``edgeward bundle init``: an author's folder from a model file, with a ``bundle.toml`` that says why."""

from __future__ import annotations

import os
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from runtime.authoring import guess_other, model_file, trial
from runtime.authoring.child import Progress, finishing
from runtime.authoring.conventions import feed
from runtime.authoring.draft import LABELS_FILE, Draft, Labels, bundle_name, preprocess_fields
from runtime.authoring.guesses import Guess
from runtime.authoring.model_file import Model
from runtime.authoring.recognise import facts_of, recognise
from runtime.bundle import staging
from runtime.bundle.author import AUTHOR_NAME, Author
from runtime.bundle.check import MAX_LABEL, NO_LABEL
from runtime.bundle.decoders import Classification, SsdPostprocessed
from runtime.bundle.regular_file import BUNDLE, is_folder, read_regular
from runtime.bundle.strict import Mismatch, convert
from runtime.errors import Code, EdgewardError, from_os_error
from runtime.inference import Inference, View
from runtime.ipc import EngineOptions
from runtime.stages import StageClock

_BACKGROUND = {"???", "background", "__background__", "n/a"}
_UNKNOWN_CLASSES = 90
_MAX_LABELS = 4 << 20


class Request(msgspec.Struct, forbid_unknown_fields=True):
    """What to draft; paths are absolute. ``out``: empty for a folder named after the bundle."""

    model: str
    out: str = ""
    name: str = ""
    labels: str = ""
    size: tuple[int, int] | None = None


def run(raw: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Draft a folder; what was found out, for ``--json`` and for the summary.

    Raises:
        EdgewardError: ``USAGE`` when the folder exists and is not empty, or the labels are not as many as the
            model's classes; as ``model_file.load``; ``SYSTEM_*``.
    """
    request = msgspec.convert(raw, Request)
    path = Path(request.model)
    name = request.name or bundle_name(path.stem)
    out = Path(request.out or name).absolute()
    if os.path.lexists(out) and not (is_folder(out) and not any(out.iterdir())):
        raise staging.taken(out)
    given = _given_labels(request.labels)
    progress(f"reading {path.name}")
    model = _load(path, request.size)
    draft, tried = _tried(model, name, given, progress)
    with (
        staging.folders_for(out.parent),
        staging.locked(out.parent, wait_s=10.0),
        staging.fresh(out.parent) as staged,
    ):
        staged.put(model.file, (model.data,))
        if draft.labels.in_a_file:
            staged.put(LABELS_FILE, ("".join(f"{label}\n" for label in draft.labels.names).encode(),))
        staged.put(AUTHOR_NAME, (draft.text().encode(),))
        with finishing():
            staged.publish(out, replace=False)
    return _document(model, draft, out, tried)


def _load(path: Path, size: tuple[int, int] | None) -> Model:
    try:
        return model_file.load(path, size=size)
    except EdgewardError as error:
        if size is None or error.code not in {Code.MODEL_LOAD, Code.MODEL_RUN}:
            raise
        remedy = "try another --size: most models want multiples of 32"
        what = f"with --size {size[0]}x{size[1]}: {error.what}"
        raise EdgewardError(error.code, what, where=error.where, remedy=remedy) from error


def _tried(model: Model, name: str, given: Labels, progress: Progress) -> tuple[Draft, dict[str, Any]]:
    """A draft that runs: where the guessed decoder is refused, the numbers as they are.

    Where these are refused too (they are many), the guess stays, and why it does not run is what to do first.
    """
    guess = recognise(facts_of(model, len(given.names)))
    draft = _draft(model, name, given, guess)
    tag = guess.decoder.__struct_config__.tag
    progress(f"trying {tag} on a picture of noise")
    try:
        return draft, _try(model, draft)
    except EdgewardError as error:
        plain = guess_other.tensors(facts_of(model, 0))
        told = f"[postprocess] {tag} was tried, for {guess.reason}, and refused: {error.what}"
        second = _draft(model, name, given, plain._replace(unknown=(told, *plain.unknown)))
        try:
            return second, _try(model, second)
        except EdgewardError:
            first = f"it does not run as it is: {error.what}; {error.remedy}"
            return draft._replace(todo=(first, *draft.todo)), {"refused": error.what}


def _draft(model: Model, name: str, given: Labels, guess: Guess) -> Draft:
    spec = model.variant.inputs[model.picture.at]
    tensor = model.contents.inputs[model.picture.at]
    feeding = feed(
        guess.convention,
        dtype=spec.dtype,
        layout=model.picture.layout,  # type: ignore[arg-type]
        gray=model.picture.channels == 1,
        own=tensor.quantisation,
    )
    labels = _labels(model, guess, given)
    first = labels.names[0].lower() if labels.names else ""
    if isinstance(guess.decoder, SsdPostprocessed) and first in _BACKGROUND:
        guess = guess._replace(decoder=msgspec.structs.replace(guess.decoder, label_offset=1))
    outputs = tuple(model.variant.outputs[at] for at in guess.outputs)
    inputs = tuple(
        msgspec.structs.replace(each, quantisation=feeding.quantisation) if each is spec else each
        for each in model.variant.inputs
    )
    variant = msgspec.structs.replace(model.variant, inputs=inputs, outputs=outputs)
    given_ones = labels.source.startswith("from ")
    unknown = tuple(each for each in guess.unknown if not (given_ones and each.startswith("labels:")))
    own = model.contents.labels
    if labels.placeholders and any(map(_unusable, own)):
        unknown = (*unknown, f"labels: the model file's own cannot be used: {_first_unusable(own)}")
    todo = (*_todo_labels(labels), *_todo_inputs(model), *feeding.unknown, *unknown)
    return Draft(name, model.file, variant, guess, feeding, labels, todo)


def _labels(model: Model, guess: Guess, given: Labels) -> Labels:
    if guess.classes == 0:
        return Labels((), "")
    in_file = Labels(model.contents.labels, "from the model file")
    for found in (given, in_file, Labels(guess.labels, "by the family")):
        names = found.names
        if not names or any(map(_unusable, names)):
            continue
        if (guess.classes, len(names)) == (1001, 1000):
            # Classifiers of ImageNet by TensorFlow have a background first that label files may lack.
            names = ("background", *names)
        twice = _stands_twice(names, guess)
        if guess.classes in {None, len(names)} and not twice:
            return found._replace(names=names)
        if found is given and twice:
            what, remedy = f"the label {twice!r} stands twice", "give each class a name of its own"
            raise EdgewardError(Code.USAGE, what, where=_place(given), remedy=remedy)
        if found is given:
            what = f"{len(names)} labels, but the model has {guess.classes} classes ({guess.reason})"
            remedy = "give one label a line in the order of the model's outputs"
            raise EdgewardError(Code.USAGE, what, where=_place(given), remedy=remedy)
    if guess.classes == 1:
        return Labels(("object",), "to be named", placeholders=True)
    count = guess.classes or _UNKNOWN_CLASSES
    return Labels(tuple(f"class_{at}" for at in range(count)), "to be named", placeholders=True)


def _place(given: Labels) -> str:
    return f"--labels {given.source.removeprefix('from ')}"


def _stands_twice(names: tuple[str, ...], guess: Guess) -> str:
    """A label that a manifest would be refused for; empty when there is none."""
    if isinstance(guess.decoder, Classification):
        return ""
    return next((name for at, name in enumerate(names) if name != NO_LABEL and name in names[:at]), "")


def _given_labels(path: str) -> Labels:
    if not path:
        return Labels((), "")
    names = _json_labels(Path(path)) if path.endswith(".json") else trial.read_labels(Path(path))
    # Editors of Windows begin a text with a mark that nobody sees.
    names = tuple(name.removeprefix("\ufeff").strip() for name in names)
    if not names:
        remedy = "write one label a line"
        raise EdgewardError(Code.BUNDLE_UNREADABLE, "it has no labels", where=path, remedy=remedy)
    if any(map(_unusable, names)):
        remedy = f"write one label a line, printable, of at most {MAX_LABEL} letters"
        raise EdgewardError(Code.BUNDLE_UNREADABLE, _first_unusable(names), where=path, remedy=remedy)
    return Labels(names, f"from {Path(path).name}")


def _unusable(label: str) -> bool:
    return not label.strip() or len(label) > MAX_LABEL or not label.isprintable()


def _first_unusable(names: tuple[str, ...]) -> str:
    at = next(at for at, name in enumerate(names) if _unusable(name))
    return f"label {at}, {names[at][:40]!r}, is empty, too long or not printable"


def _json_labels(path: Path) -> tuple[str, ...]:
    """``["cat", "dog"]``, or ``{"0": "cat", "1": "dog"}`` as many label files are."""
    data = read_regular(path, BUNDLE, limit=_MAX_LABELS, follow_links=True)
    try:
        found = msgspec.json.decode(data, type=list[str] | dict[int, str])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        what, remedy = f"no list of labels: {error}", 'write ["cat", "dog"], or one label a line as .txt'
        raise EdgewardError(Code.BUNDLE_UNREADABLE, what, where=str(path), remedy=remedy) from error
    if isinstance(found, dict):
        if sorted(found) != list(range(len(found))):
            what, remedy = "its numbers are not 0, 1, 2, ...", "give each class of the model a label"
            raise EdgewardError(Code.BUNDLE_UNREADABLE, what, where=str(path), remedy=remedy)
        found = [found[at] for at in range(len(found))]
    return tuple(found)


def _todo_labels(labels: Labels) -> tuple[str, ...]:
    if not labels.placeholders:
        return ()
    place = LABELS_FILE if labels.in_a_file else "[bundle] labels"
    return (f"{place}: the names of the classes, in the order of the model's outputs",)


def _todo_inputs(model: Model) -> tuple[str, ...]:
    found = []
    if model.guessed_sizes:
        sizes = ", ".join(f"{name} = {model.variant.dimensions[name]}" for name in model.guessed_sizes)
        found.append(
            f"[[variant]] dimensions: {sizes}; the file leaves them open. Larger finds smaller objects and "
            "costs more; most models want multiples of 32"
        )
    for spec in model.variant.inputs:
        if spec.feed == "value":
            found.append(f"[[variant]] input {spec.name!r}: what it is fed with; zeros are a placeholder")
        elif spec.feed != "picture":
            found.append(f"[[variant]] input {spec.name!r}: feed = {spec.feed!r} by its name and size")
    return tuple(found)


def _try(read: Model, draft: Draft) -> dict[str, Any]:
    """Load the draft and run it on noise, as a device would run the bundle."""
    with tempfile.TemporaryDirectory(prefix="edgeward-init-") as work:
        folder = Path(work)
        try:
            (folder / read.file).write_bytes(read.data)
        except OSError as error:
            raise from_os_error(error, where=work, fallback=Code.SYSTEM_IO) from error
        try:
            author = convert(tomllib.loads(draft.text()), Author)
        except Mismatch as error:
            raise EdgewardError(
                Code.BUNDLE_MANIFEST, error.what, where=error.key, remedy=error.remedy
            ) from error
        model = trial.load(author, author.variants[0], draft.labels.names, (folder,), EngineOptions())
        inference = Inference(model, StageClock())
        view = View(trial.noise(640, 480), "trial")
        took = []
        for _ in range(3):
            began = time.perf_counter()
            (found,) = inference.look([view])
            took.append((time.perf_counter() - began) * 1e3)
            if isinstance(found, EdgewardError):
                raise found
        return {"frame_ms": round(min(took), 3)}


def _document(model: Model, draft: Draft, out: Path, tried: dict[str, Any]) -> dict[str, Any]:
    tag = str(draft.guess.decoder.__struct_config__.tag)
    return {
        "folder": str(out),
        "name": draft.name,
        "variant": msgspec.to_builtins(draft.variant),
        "decoder": {
            "name": tag,
            "reason": draft.guess.reason,
            "instead": list(draft.guess.instead),
        },
        "preprocess": preprocess_fields(draft.feeding.preprocess),
        "preprocess_reason": draft.feeding.reason,
        "labels": {
            "count": len(draft.labels.names),
            "source": draft.labels.source,
            "placeholders": draft.labels.placeholders,
        },
        "to_check": list(draft.todo),
        "trial": tried,
        "model": model.file,
    }
