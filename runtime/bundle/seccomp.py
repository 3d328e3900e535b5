"""A seccomp filter: takes from this process, for good, system calls that reading a file never needs.

Network, new processes and programs, other processes' memory, mounts, kernel modules. A list of what is
refused and not of what is allowed: it holds whatever the C library and the interpreter do in their next
version. Numbers are those of the kernel's tables; processors that have no column here get no filter.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCH_AT = 0, 4
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
# Calls of the x32 convention, another way into the same kernel, have this bit in their number.
_X32 = 0x40000000
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CALLS: dict[str, tuple[int | None, int | None]] = {
    # name: (x86_64, aarch64)
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "clone": (56, 220),
    "clone3": (435, 435),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "kill": (62, 129),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
}


def numbers(machine: str) -> list[int]:
    """The numbers of the refused calls on a processor; empty for one that is not known here."""
    column = list(_ARCHITECTURES).index(machine) if machine in _ARCHITECTURES else None
    if column is None:
        return []
    return sorted(number for row in _CALLS.values() if (number := row[column]) is not None)


def program(machine: str) -> bytes:
    """The filter in classic BPF: another architecture's calls and the listed ones end with ``EPERM``."""
    refused = numbers(machine)
    # Each jump counts the instructions that it leaps over; the last but one allows, the last refuses.
    rows = [(_LOAD, 0, 0, _ARCH_AT), (_IF_EQUAL, 0, len(refused) + 3, _ARCHITECTURES[machine])]
    rows += [(_LOAD, 0, 0, _NUMBER_AT), (_IF_AT_LEAST, len(refused) + 1, 0, _X32)]
    rows += [(_IF_EQUAL, len(refused) - place, 0, number) for place, number in enumerate(refused)]
    rows += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    return b"".join(struct.pack("=HBBI", *row) for row in rows)


def restrict() -> bool:
    """Install the filter; whether that was done. Call ``prctl(PR_SET_NO_NEW_PRIVS)`` before.

    Raises:
        OSError: the kernel has seccomp and refuses all the same.
    """
    machine = os.uname().machine
    if machine not in _ARCHITECTURES or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    code = ctypes.create_string_buffer(program(machine))
    pointer = struct.pack("@HP", (len(code) - 1) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(ctypes.c_int(_PR_SET_SECCOMP), ctypes.c_ulong(_MODE_FILTER), pointer) == 0:
        return True
    number = ctypes.get_errno()
    if number == errno.EINVAL:
        return False  # a kernel without seccomp filters
    raise OSError(number, os.strerror(number), "seccomp")
