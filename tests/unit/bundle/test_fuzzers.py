"""The fuzzers find what they are there to find: each is run on code with a defect that it must notice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from runtime.bundle import archive, check, container, signature
from runtime.bundle.manifest import FileEntry
from runtime.bundle.ustar import Member, decode_header
from runtime.serve import request
from runtime.serve.interface import Interface
from tests.fuzz import container as containers
from tests.fuzz import inference as requests
from tests.fuzz import manifest as manifests
from tests.fuzz import signature as signatures
from tests.fuzz.__main__ import changed
from tests.fuzz.mutation import with_sum

pytestmark = pytest.mark.unit

TARGETS = {
    "container": containers,
    "signature": signatures,
    "manifest": manifests,
    "inference": requests,
}
EXECUTIONS = 4000


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_is_accepted_and_the_changes_are_the_same_each_time(name: str) -> None:
    target = TARGETS[name]
    assert len(target.SEEDS) >= 3
    assert all(target.one(seed) for seed in target.SEEDS)
    first = [changed(target, 1, number) for number in range(50)]
    assert first == [changed(target, 1, number) for number in range(50)]
    assert first != [changed(target, 2, number) for number in range(50)]
    for data in first:
        target.one(data)


def unchecked(entry: FileEntry, chunks: Iterable[bytes], *, where: str) -> Iterator[bytes]:
    """No digest is computed."""
    yield from chunks


def lenient_header(block: bytes, *, where: str, path_limit: int) -> Member:
    """As the real one, but that owner and time may be anything."""
    zeroed = block[:108] + b"0000000\0" * 2 + block[124:136] + b"%011o\0" % 0 + block[148:]
    return decode_header(with_sum(zeroed), where=where, path_limit=path_limit)


def believing(key: ec.EllipticCurvePublicKey, raw: bytes, payload: bytes) -> bool:
    """Every signature verifies."""
    return True


def first_output(interface: Interface, outputs: Sequence[object]) -> tuple[int, ...]:
    """Whatever is asked for, it is the first."""
    return (0,) * max(1, len(outputs))


DEFECTS: dict[str, tuple[str, object, str, Callable[..., Any]]] = {
    "no digests": ("container", archive, "checked", unchecked),
    "owner and time that nobody looks at": ("container", container, "decode_header", lenient_header),
    "a signature that is not verified": ("signature", signature, "_verifies", believing),
    "a manifest that is not checked": ("manifest", check, "problems", lambda manifest: iter(())),
    "outputs that are not looked up": ("inference", request, "_wanted", first_output),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_fuzzer_finds(defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, module, attribute, replacement = DEFECTS[defect]
    monkeypatch.setattr(module, attribute, replacement)
    target = TARGETS[name]

    def fuzz() -> None:
        for number in range(EXECUTIONS):
            target.one(changed(target, 1, number))

    with pytest.raises(AssertionError):
        fuzz()
