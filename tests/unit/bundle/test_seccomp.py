"""The filter of the verifier, read as the kernel reads it, for processors that no test runs on too."""

from __future__ import annotations

import os
import struct

import pytest

from runtime.bundle import seccomp

pytestmark = pytest.mark.unit

COLUMNS = {"x86_64": 0, "aarch64": 1}
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOWED = 0x7FFF0000
LOAD, JUMP, EQUAL, AT_LEAST, ANY, RETURN = 0x20, 0x05, 0x15, 0x35, 0x45, 0x06


def allowed(machine: str, number: int, *arguments: int, architecture: int | None = None) -> bool:
    """What the filter says of a call, by the rules of classic BPF."""
    code = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))
    given = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, architecture or ARCHITECTURES[machine], 0, *given)
    at = loaded = 0
    while True:
        what, yes, no, value = code[at]
        at += 1
        if what == LOAD:
            (loaded,) = struct.unpack_from("<I", data, value)
        elif what == JUMP:
            at += value
        elif what == RETURN:
            return bool(value == ALLOWED)
        else:
            true = {EQUAL: loaded == value, AT_LEAST: loaded >= value, ANY: bool(loaded & value)}[what]
            at += yes if true else no


@pytest.mark.parametrize("machine", COLUMNS)
def test_the_listed_calls_are_refused_and_no_others(machine: str) -> None:
    refused = {number for number in range(1024) if not allowed(machine, number)}
    assert refused == set(seccomp.numbers(machine))
    read, write, openat, exit_group = ((0, 1, 257, 231), (63, 64, 56, 94))[COLUMNS[machine]]
    assert not refused & {read, write, openat, exit_group}


@pytest.mark.parametrize("machine", COLUMNS)
def test_other_ways_into_the_kernel_are_closed(machine: str) -> None:
    assert not allowed(machine, 0x40000000), "x32"
    assert not allowed(machine, 0, architecture=0x40000003), "i386"
    assert not allowed(machine, 0, architecture=0x40000028), "arm"


@pytest.mark.parametrize("machine", COLUMNS)
def test_no_file_becomes_setuid_or_open_to_others(machine: str) -> None:
    openat, fchmod = ((257, 91), (56, 52))[COLUMNS[machine]]
    for making in (os.O_CREAT, os.O_TMPFILE):
        assert allowed(machine, openat, 0, 0, making | os.O_WRONLY, 0o644)
        assert not allowed(machine, openat, 0, 0, making | os.O_WRONLY, 0o4755)
        assert not allowed(machine, openat, 0, 0, making | os.O_WRONLY, 0o2755)
    # Who makes nothing may leave anything in that register.
    assert allowed(machine, openat, 0, 0, os.O_RDONLY | os.O_DIRECTORY, 0o7777)
    assert [allowed(machine, fchmod, 3, mode) for mode in (0o700, 0o755, 0o644)] == [True] * 3
    assert not any(allowed(machine, fchmod, 3, mode) for mode in (0o4755, 0o2755, 0o666, 0o775))


@pytest.mark.parametrize("machine", COLUMNS)
def test_nobody_is_signalled_by_a_descriptor(machine: str) -> None:
    fcntl, ioctl = ((72, 16), (25, 29))[COLUMNS[machine]]
    assert not any(allowed(machine, fcntl, 3, command) for command in (8, 15))
    assert all(allowed(machine, fcntl, 3, command) for command in (1, 2, 3, 4, 1030))
    assert not any(allowed(machine, ioctl, 3, request) for request in (0x8901, 0x8902))
    assert allowed(machine, ioctl, 3, 0x5401)
