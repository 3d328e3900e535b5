"""A seccomp filter: takes from this process, for good, system calls that reading a file never needs.

Network, new processes and programs, whatever reaches another process, rights and owners of files, mounts,
kernel modules. A list of what is refused and not of what is allowed: it holds whatever the C library and the
interpreter do in their next version. Numbers are those of the kernel's tables; processors that have no column
here get no filter.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import NamedTuple

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _JUMP, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY, _RETURN = 0x20, 0x05, 0x15, 0x35, 0x45, 0x06
# Of an argument the lower half, which comes first on both processors.
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
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
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "prlimit64": (302, 261),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
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
    "open_tree_attr": (467, 467),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "mknod": (133, None),
    "mknodat": (259, 33),
    # Rights, owners, times and marks, which Landlock lets anybody change. "fchmod" is below.
    "chmod": (90, None),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "lchown": (94, None),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    # Takes its mode from memory, where a filter cannot look.
    "openat2": (437, 437),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "fanotify_init": (300, 262),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
}
_SPECIAL, _FOR_OTHERS = 0o7000, 0o022
_MAKES = os.O_CREAT | os.O_TMPFILE & ~os.O_DIRECTORY


class _Unless(NamedTuple):
    """A call that is refused for what one of its arguments is: for any of these bits, or just this value.

    ``flags`` is the argument without whose bits ``_MAKES`` nothing is refused: the other has no meaning then.
    """

    call: tuple[int | None, int | None]
    argument: int
    test: int
    value: int
    flags: int | None = None


_ARGUMENTS = (
    # No file becomes setuid or setgid, and what is there is not opened to other users.
    _Unless((91, 52), 1, _IF_ANY, _SPECIAL | _FOR_OTHERS),  # fchmod
    _Unless((2, None), 2, _IF_ANY, _SPECIAL, flags=1),  # open
    _Unless((85, None), 1, _IF_ANY, _SPECIAL),  # creat
    _Unless((257, 56), 3, _IF_ANY, _SPECIAL, flags=2),  # openat
    # Nobody else is signalled when there is something to read: F_SETOWN, F_SETOWN_EX, FIOSETOWN, SIOCSPGRP.
    _Unless((72, 25), 1, _IF_EQUAL, 8),
    _Unless((72, 25), 1, _IF_EQUAL, 15),
    _Unless((16, 29), 1, _IF_EQUAL, 0x8901),
    _Unless((16, 29), 1, _IF_EQUAL, 0x8902),
)


def numbers(machine: str) -> list[int]:
    """The numbers of the refused calls on a processor; empty for one that is not known here."""
    if machine not in _ARCHITECTURES:
        return []
    column = list(_ARCHITECTURES).index(machine)
    return sorted(number for row in _CALLS.values() if (number := row[column]) is not None)


def _argument_rules(machine: str) -> list[list[tuple[int, int, int, int]]]:
    """For each rule its instructions; a jump of -1 refuses. They end with the call's number loaded again."""
    column = list(_ARCHITECTURES).index(machine)
    rules = []
    for rule in _ARGUMENTS:
        if (number := rule.call[column]) is None:
            continue
        rows = [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * rule.argument), (rule.test, -1, 0, rule.value)]
        if rule.flags is not None:
            rows[:0] = [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * rule.flags), (_IF_ANY, 0, len(rows), _MAKES)]
        rows.append((_LOAD, 0, 0, _NUMBER_AT))
        rules.append([(_IF_EQUAL, 0, len(rows), number), *rows])
    return rules


def program(machine: str) -> bytes:
    """The filter in classic BPF: another architecture's calls and the listed ones end with ``EPERM``."""
    rows = [(_LOAD, 0, 0, _ARCH_AT), (_IF_EQUAL, 1, 0, _ARCHITECTURES[machine]), (_JUMP, 0, 0, -1)]
    rows += [(_LOAD, 0, 0, _NUMBER_AT), (_IF_AT_LEAST, -1, 0, _X32)]
    rows += [(_IF_EQUAL, -1, 0, number) for number in numbers(machine)]
    for rule in _argument_rules(machine):
        rows += rule
    rows += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    # Each jump counts the instructions that it leaps over; the last one refuses.
    last = len(rows) - 1
    code = b""
    for place, (what, yes, no, value) in enumerate(rows):
        ahead = last - place - 1
        code += struct.pack("=HBBI", what, ahead if yes < 0 else yes, no, ahead if value < 0 else value)
    return code


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
