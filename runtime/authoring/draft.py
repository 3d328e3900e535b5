"""The text of a drafted ``bundle.toml``: what is known with its reason, what is not with how to find out."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from runtime.authoring.conventions import Feeding
from runtime.authoring.guesses import Guess
from runtime.authoring.toml_text import comment, inline, several, text
from runtime.bundle.manifest import InputSpec, Preprocess, TensorSpec, Variant

LABELS_FILE = "labels.txt"
_MOST_INLINE = 8
_ALWAYS = ("score_threshold", "iou_threshold", "label_offset")


class Labels(NamedTuple):
    """Names of the classes, and where they come from."""

    names: tuple[str, ...]
    source: str
    placeholders: bool = False

    @property
    def in_a_file(self) -> bool:
        """Whether they stand in a file of their own."""
        return len(self.names) > _MOST_INLINE


class Draft(NamedTuple):
    """Everything that the text is made of."""

    name: str
    original: str
    variant: Variant
    guess: Guess
    feeding: Feeding
    labels: Labels
    todo: tuple[str, ...]

    def text(self) -> str:
        """``bundle.toml``."""
        head = comment(f"Drafted by 'edgeward bundle init' from {self.original}.")
        if self.todo:
            head += "#\n# To check, since the model file does not say it:\n"
            head += "".join(comment(f"{number}. {each}") for number, each in enumerate(self.todo, 1))
        parts = (head, self._bundle(), self._variant(), self._preprocess(), self._postprocess())
        return "\n".join(parts)

    def _bundle(self) -> str:
        lines = f"[bundle]\nname = {text(self.name)}\n"
        lines += 'version = "1.0.0"\nrelease_counter = 1            # grows with every release of this name\n'
        if not self.labels.names:
            return lines
        mark = "TODO: placeholders. " if self.labels.placeholders else ""
        count = len(self.labels.names)
        lines += comment(f"{mark}{count} label{'s' if count > 1 else ''}, {self.labels.source}.")
        if self.labels.in_a_file:
            return lines + f"labels_file = {text(LABELS_FILE)}\n"
        return lines + f"labels = {inline(self.labels.names)}\n"

    def _variant(self) -> str:
        variant = self.variant
        lines = f"[[variant]]\nid = {text(variant.id)}\nengine = {text(variant.engine)}\n"
        lines += f"file = {text(variant.file)}\n"
        if variant.precision != "float32":
            lines += f"precision = {text(variant.precision)}\n"
        if variant.dimensions:
            lines += comment("Sizes that the file leaves open; an open first one is the batch.")
            lines += f"dimensions = {inline(variant.dimensions)}\n"
        lines += several("input", tuple(map(_without_defaults, variant.inputs)))
        if len(variant.outputs) > 1:
            lines += comment("In the decoder's order.")
        return lines + several("output", tuple(map(_without_defaults, variant.outputs)))

    def _preprocess(self) -> str:
        lines = comment(f"{_sentence(self.feeding.reason)}") + "[preprocess]\n"
        for key, value in preprocess_fields(self.feeding.preprocess).items():
            lines += f"{key} = {inline(value)}\n"
        return lines

    def _postprocess(self) -> str:
        guess = self.guess
        lines = comment(_sentence(guess.reason))
        lines += "".join(comment(f"Instead perhaps {each}.") for each in guess.instead)
        tag = guess.decoder.__struct_config__.tag
        lines += f"[postprocess]\ndecoder = {text(str(tag))}\n"
        for field in msgspec.structs.fields(guess.decoder):
            value = getattr(guess.decoder, field.name)
            if field.name in _ALWAYS or value != field.default:
                lines += f"{field.name} = {inline(value)}\n"
        return lines


def _without_defaults(spec: TensorSpec) -> dict[str, Any]:
    """A tensor as a table, in the order in which people read it."""
    fields: dict[str, Any] = msgspec.to_builtins(spec)
    if isinstance(spec, InputSpec) and "value" in fields:
        fields["value"] = list(fields["value"])
    return fields


def preprocess_fields(preprocess: Preprocess) -> dict[str, Any]:
    """What the author should see: fit and order always, the rest where it is not the default."""
    found = {}
    for field in msgspec.structs.fields(preprocess):
        value = getattr(preprocess, field.name)
        if field.name in {"fit", "order"} or value != field.default:
            found[field.name] = value
    return found


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def bundle_name(stem: str) -> str:
    """``stem`` as a bundle may be called."""
    name = re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")[:64]
    return name or "model"
