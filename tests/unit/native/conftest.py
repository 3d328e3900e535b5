"""What the tests of the kernels share: every kernel set, and tidy globals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import native

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=native.available_simd())
def kernels(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once with each kernel set that this machine has."""
    native.set_simd(request.param)
    yield request.param
    native.set_simd("auto")
