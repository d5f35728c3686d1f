"""Linux takes a pool child's rights away for good: system calls by seccomp, files by Landlock.

Hand-written, because both are a few structs and each library for them is larger than this. Where the kernel or the
machine has one of them not, that one is missing and the rest of the sandbox holds.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

_PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2
_CLONE_THREAD: Final = 0x10000
_X32: Final = 0x40000000

# Classic BPF: load a word of seccomp_data, compare, return.
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_AT_NUMBER, _AT_MACHINE, _AT_FIRST_ARGUMENT = 0, 4, 16
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000

_MACHINES: Final = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""AUDIT_ARCH, and the column of the tables below."""

_REFUSED: Final = {
    "socket": (41, 198), "socketpair": (53, 199), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202),
    "accept4": (288, 242), "connect": (42, 203), "sendto": (44, 206), "sendmsg": (46, 211), "recvmsg": (47, 212),
    "sendmmsg": (307, 269), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kill": (62, 129),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "unshare": (272, 97), "setns": (308, 268),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "open_by_handle_at": (304, 265), "keyctl": (250, 219),
    "add_key": (248, 217), "request_key": (249, 218), "init_module": (175, 105), "finit_module": (313, 273),
    "kexec_load": (246, 104),
}  # fmt: skip
_CLONE: Final = (56, 220)
_CLONE3: Final = (435, 435)
_TGKILL: Final = (234, 131)

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION: Final = 1
_BENEATH: Final = 1
_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many rights a version of Landlock knows; 16 from the fifth on."""

_WRITE, _READ, _LIST, _REMOVE, _MAKE, _TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 5, 1 << 8, 1 << 14
_LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")


def refuse_calls(libc: ctypes.CDLL) -> bool:
    """Refuse (EPERM) what reaches the network, other processes or the kernel's rarer doors; threads stay allowed.

    Returns whether that is so from now on. The caller has set PR_SET_NO_NEW_PRIVS.
    """
    if platform.machine() not in _MACHINES:
        return False
    program = _program(*_MACHINES[platform.machine()], os.getpid())
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: a length, and a pointer at its own alignment.
    filter_ = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.c_char_p(filter_), 0, 0) == 0)


def _program(machine: int, column: int, pid: int) -> bytes:
    refused = _REFUSE | errno.EPERM
    steps = [(_LOAD, 0, 0, _AT_MACHINE), (_IF_EQUAL, 1, 0, machine), (_RETURN, 0, 0, refused)]
    # Another number for the same call, on x86-64.
    steps += [(_LOAD, 0, 0, _AT_NUMBER), (_IF_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, refused)]
    for number in (each[column] for each in _REFUSED.values()):
        if number is not None:
            steps += [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, refused)]
    # Its flags are behind a pointer, where a filter cannot look: libc then takes the older call.
    steps += [(_IF_EQUAL, 0, 1, _CLONE3[column]), (_RETURN, 0, 0, _REFUSE | errno.ENOSYS)]
    for numbers, test, wanted in ((_CLONE, _IF_ANY, _CLONE_THREAD), (_TGKILL, _IF_EQUAL, pid)):
        steps += [(_IF_EQUAL, 0, 4, numbers[column]), (_LOAD, 0, 0, _AT_FIRST_ARGUMENT), (test, 0, 1, wanted)]
        steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, refused)]
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def close_files(libc: ctypes.CDLL, spool: Path) -> bool:
    """Leave of all files what lies in `spool`, to read and write, and the program's own libraries, to read.

    Returns whether that is so from now on. What is open already stays open.
    """
    version = libc.syscall(_CREATE_RULESET, None, 0, _VERSION)
    if version < 1:
        return False
    rights = (1 << _RIGHTS.get(version, 16)) - 1
    rules = libc.syscall(_CREATE_RULESET, ctypes.c_char_p(struct.pack("=Q", rights)), 8, 0)
    if rules < 0:
        return False
    try:
        for place in _libraries():
            _allow(libc, rules, place, _READ | _LIST)
        if getattr(sys, "frozen", False):  # its modules lie in the program's own file, which is opened for each
            _allow(libc, rules, Path(sys.executable), _READ)
        _allow(libc, rules, spool, (_READ | _LIST | _WRITE | _MAKE | _REMOVE | _TRUNCATE) & rights)
        return bool(libc.syscall(_RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)


def _libraries() -> Iterable[Path]:
    """Return where modules that are not loaded yet may come from."""
    # The standard library, the folder of the packages, ourselves; for the frozen program, what it was unpacked to.
    files = (Path(os.__file__).parent, Path(msgspec.__file__).parents[1], Path(__file__).parents[1])
    named = {str(place) for place in files} | {*_LIBRARIES, getattr(sys, "_MEIPASS", "")}
    return [place for name in named if name and (place := Path(name)).is_dir()]


def _allow(libc: ctypes.CDLL, rules: int, place: Path, rights: int) -> None:
    descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        beneath = ctypes.c_char_p(struct.pack("=Qi", rights, descriptor))
        libc.syscall(_ADD_RULE, rules, _BENEATH, beneath, 0)
    finally:
        os.close(descriptor)
