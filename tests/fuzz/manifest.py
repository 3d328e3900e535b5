"""The manifest, which only a signer can write: what is accepted has one meaning and keeps to every rule."""

from __future__ import annotations

import copy
import json
import re
import typing
from random import Random

import msgspec

from runtime.bundle.check import check_manifest, parse_manifest
from runtime.bundle.decoders import Postprocess
from runtime.bundle.manifest import Manifest
from runtime.errors import EdgewardError
from tests.fuzz import corpus
from tests.fuzz.mutation import VALUES, bytes_changed, json_changed

SEEDS = corpus.read("manifest")
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*)*")


def mutate(data: bytes, random: Random) -> bytes:
    """Bytes, or values of the document, or another decoder."""
    return random.choice((json_changed, json_changed, json_changed, bytes_changed, _other_decoder))(
        data, random
    )


def _other_decoder(data: bytes, random: Random) -> bytes:
    """Any decoder that there is, with its required keys and some of the others, of any value."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return bytes_changed(data, random)
    kind = random.choice(typing.get_args(Postprocess))
    declared: dict[str, object] = {"decoder": kind.__struct_config__.tag}
    for field in msgspec.structs.fields(kind):
        if field.required or random.randrange(4) == 0:
            declared[field.encode_name] = copy.deepcopy(
                random.choice([*VALUES, "none", "a.bin", [1, 2], ["a"]])
            )
    if isinstance(document, dict):
        document["postprocess"] = declared
    return json.dumps(document).encode()


def one(data: bytes) -> bool:
    """Check one manifest; whether it was accepted.

    Raises:
        AssertionError: a promise does not hold.
    """
    try:
        found = parse_manifest(data, where="x.ewb")
    except EdgewardError as error:
        corpus.check_error(error)
        return False
    check_manifest(found, where="x.ewb")
    encoded = msgspec.json.encode(found)
    again = parse_manifest(encoded, where="x.ewb")
    assert msgspec.json.encode(again) == encoded, "it is another one when it is written and read again"
    assert again == found
    assert parse_manifest(msgspec.json.format(encoded, indent=1), where="x.ewb") == found
    _check_files(found)
    return True


def _check_files(found: Manifest) -> None:
    """What a device relies on, said once more and in other words."""
    paths = [entry.path for entry in found.files]
    assert all(_PATH.fullmatch(path) and len(path) <= 255 for path in paths)
    assert len({path.lower() for path in [*paths, "manifest.json", "model.sig"]}) == len(paths) + 2
    for variant in found.variants:
        assert variant.file in paths
        assert not variant.weights or variant.weights in paths
        assert variant.inputs
        assert variant.outputs
