"""A filter of system calls for the box: memory outside its sized places, and boxes inside it.

Linux runs such a filter, a program of 8-byte instructions, before each system call (seccomp(2));
bubblewrap installs it. Refused are: memory that no limit of the process counts (memfd, System V
and POSIX queues), new namespaces and mounts (a temporary file system of one's own would have no
size), looking into other processes, keys, and the kernel's own programs. All else is allowed:
the box keeps the files and the network away.
"""

from __future__ import annotations

import errno
import platform
import struct

_X86, _ARM = 0xC000003E, 0xC00000B7  # AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64
_CALLS = {  # name: number on x86-64, on arm64
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "fsopen": (430, 430),
    "fsmount": (432, 432), "move_mount": (429, 429), "open_tree": (428, 428),
    "mount_setattr": (442, 442), "unshare": (272, 97), "setns": (308, 268),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438), "open_by_handle_at": (304, 265),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "clone3": (435, 435),
}  # fmt: skip
_CLONE = (56, 220)
_NEW_SPACES = 0x7E020000  # CLONE_NEW...: of every kind
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE, _UNKNOWN = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_NUMBER, _ARCHITECTURE, _FLAGS = 0, 4, 16  # offsets in the kernel's record of a call


def program(machine: str | None = None) -> bytes:
    """The filter for this machine; empty for a processor that it is not written for."""
    which = {"x86_64": (_X86, 0), "aarch64": (_ARM, 1)}.get(machine or platform.machine())
    if which is None:
        return b""
    architecture, column = which
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _UNKNOWN),  # 32-bit calls have other numbers
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, 0x40000000),  # so have those of x32
        (_RETURN, 0, 0, _UNKNOWN),
        (_EQUAL, 0, 4, _CLONE[column]),
        (_LOAD, 0, 0, _FLAGS),
        (_ANY_BIT, 0, 1, _NEW_SPACES),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    for name, numbers in _CALLS.items():
        # the C library goes back to clone, whose flags can be seen, where there is no clone3
        answer = _UNKNOWN if name == "clone3" else _REFUSE
        steps += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, answer)]
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *step) for step in steps)
