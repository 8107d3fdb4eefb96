"""The box around a student's process: no network, no files but Python's and the library's.

It is bubblewrap's (``bwrap``), the tool behind Flatpak: Linux namespaces, no root needed. Inside,
the process sees Python, its packages and the ``wmlearn`` package without its checks, all
read-only, and three empty folders in memory, each of a limited size. The course folder, the
gradebook, other submissions and the teacher's notebook are not there at all.
"""

from __future__ import annotations

import functools
import os
import platform
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wmlearn.grading.seccomp import program

SCRATCH = "/scratch"
PLACES = {SCRATCH: 2**27, "/tmp": 2**25, "/dev/shm": 2**25}
"""All that can be written in the box, and its bytes."""
PROCESSES = 64
START_SECONDS = 120  # for the first interpreter and its imports, before any limit counts
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/nix/store")
_LIBRARY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Sandbox:
    """What holds a student's process on this machine.

    Attributes:
        command: what to put before the process's own command; empty without bubblewrap.
        missing: empty, or one sentence: what is not held, and what to do about it.
    """

    command: tuple[str, ...]
    missing: str

    @property
    def found(self) -> bool:
        return bool(self.command)

    @property
    def words(self) -> str:
        return (
            "no network, own scratch folder of 128 MB (bubblewrap)" if self.found else "NO SANDBOX"
        )

    @contextmanager
    def opened(self) -> Iterator[tuple[list[str], tuple[int, ...]]]:
        """The command for one process, and the files that it has to inherit."""
        code = program() if self.found else b""
        if not code:
            yield list(self.command), ()
            return
        with tempfile.TemporaryFile() as file:
            file.write(code)
            file.flush()
            file.seek(0)
            words = [self.command[0], "--seccomp", str(file.fileno()), *self.command[1:]]
            yield words, (file.fileno(),)


@functools.cache
def find_sandbox() -> Sandbox:
    """Tries bubblewrap once, with Python and torch in it, and says what it found.

    ``WMLEARN_SANDBOX=off`` grades without it.
    """
    consequence = (
        "so submissions can reach the network and your files, the gradebook among them. Grade "
        "only people whom you trust, or inside a container"
    )
    if os.environ.get("WMLEARN_SANDBOX") == "off":
        return Sandbox((), f"WMLEARN_SANDBOX=off: no sandbox, {consequence}.")
    if sys.platform != "linux":
        return Sandbox((), f"There is no bubblewrap on {platform.system()}, {consequence}.")
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return Sandbox(
            (),
            f"bubblewrap is missing, {consequence}. To have a sandbox: "
            "apt-get install bubblewrap (Debian, Ubuntu), dnf install bubblewrap (Fedora, RHEL).",
        )
    box = Sandbox(_command(bwrap), "")
    with box.opened() as (command, inherited):
        probe = [*command, sys.executable, "-c", "import encodings, os; os.listdir('/scratch')"]
        tried = subprocess.run(probe, capture_output=True, text=True, pass_fds=inherited)
    if tried.returncode:
        reason = (tried.stderr.strip().splitlines() or ["no reason given"])[-1]
        return Sandbox(
            (),
            f"bubblewrap is installed, but cannot make a sandbox here ({reason}), {consequence}. "
            "In Docker, run the container with --security-opt seccomp=unconfined; on Ubuntu see "
            "kernel.apparmor_restrict_unprivileged_userns.",
        )
    return box


def require_box(allowed: bool) -> None:
    """Refuses to run other people's code without a box.

    Args:
        allowed: whether the grader has said that it may.

    Raises:
        ValueError: if there is no box and it may not.
    """
    missing = find_sandbox().missing
    if missing and not allowed:
        raise ValueError(f"{missing} Then allow it by name: --no_sandbox.")


def privileges(sandboxed: bool) -> dict[str, int]:
    """For the worker: the user to become (root only), and how many processes it may have.

    A limit of processes counts those of one user, and does not hold for root. So a grader who is
    root (in a container, say) gives each worker a user number of its own.
    """
    if sys.platform != "linux":
        return {}
    if os.getuid() == 0:
        if not sandboxed:
            return {}
        return {"user": 60_000 + secrets.randbelow(5_000), "processes": PROCESSES}
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    counted_inside = sandboxed and release >= (5, 14)
    return {"processes": PROCESSES + (0 if counted_inside else _own_threads())}


def _command(program: str) -> tuple[str, ...]:
    if os.getuid() == 0:  # no user namespace, so that the worker can become another user
        spaces = "--unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup-try"
        spaces += " --cap-drop ALL --cap-add CAP_SETUID --cap-add CAP_SETGID"
    else:
        spaces = "--unshare-all"
    words = [program, *spaces.split(), "--die-with-parent", "--new-session"]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for path in map(Path, _SYSTEM):
        if path.is_symlink() and path.parent == Path("/"):
            words += ["--symlink", os.readlink(path), str(path)]
        elif path.exists():
            words += ["--ro-bind", str(path), str(path)]
    for place, size in PLACES.items():  # first: Python itself may live below one of them
        words += ["--perms", "1777", "--size", str(size), "--tmpfs", place]
    made = {Path("/"), *map(Path, PLACES)}
    for path in visible_paths():
        for parent in reversed(path.parents):
            if parent not in made and not parent.is_relative_to("/usr"):
                words += ["--perms", "0755", "--dir", str(parent)]
                made.add(parent)
        if not path.is_relative_to("/usr"):
            words += ["--ro-bind", str(path), str(path)]
    for check in sorted((_LIBRARY / "chapters").glob("ch*/e[0-9]*.py")):
        words += ["--ro-bind", "/dev/null", str(check)]  # the box holds no check
    words += ["--remount-ro", "/dev", "--remount-ro", "/"]
    return (*words, "--chdir", SCRATCH, "--")


def paths() -> list[str]:
    """Where this process finds modules, for another one."""
    return [str(Path(entry).absolute()) for entry in sys.path if entry] + [os.getcwd()]


def visible_paths() -> list[Path]:
    """Python's own folders and the library's, outermost first; never a course or a repository."""
    wanted = [Path(sys.prefix), Path(sys.base_prefix), _LIBRARY]
    wanted += [Path(sys.executable).parent, Path(sys.executable).resolve().parent]
    for entry in filter(None, sys.path):
        path = Path(entry).absolute()
        if path.name in ("site-packages", "dist-packages"):
            wanted.append(path)
    found: list[Path] = []
    for path in sorted({path for path in wanted if path.exists()}, key=lambda p: len(p.parts)):
        if not any(path.is_relative_to(other) for other in found):
            found.append(path)
    return found


def _own_threads() -> int:
    """How many threads this user has now, over all processes."""
    count = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if folder.stat().st_uid == os.getuid():
                count += len(list((folder / "task").iterdir()))
        except OSError:
            continue
    return count


def tree(pid: int) -> list[int]:
    """The process and all that it started, as far as /proc shows them (Linux)."""
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        for path in Path(f"/proc/{found[-1]}/task").glob("*/children"):
            try:
                todo += map(int, path.read_text().split())
            except (OSError, ValueError):
                continue
    return found


def memory_of(pids: list[int]) -> float:
    """Megabytes that these processes hold together, shared pages counted once.

    Counted are their own pages, shared memory that is mapped, and files in memory (memfd) that
    are open, mapped or not.
    """
    total, held = 0, {}
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        for line in text.splitlines():
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                total += int(line.split()[1])
        for path in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                if os.readlink(path).startswith("/memfd:"):
                    about = path.stat()
                    held[about.st_ino] = about.st_blocks * 512
            except OSError:
                continue
    return total / 1024 + sum(held.values()) / 2**20


def seconds_of(pids: list[int]) -> float:
    """Seconds of processor time that these processes have used, with children that have ended."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
        except (OSError, ValueError):
            continue
    return ticks / os.sysconf("SC_CLK_TCK") if ticks else 0.0


def waited(pid: int) -> float:
    """Seconds that this process could have run and did not, because others had the processors."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def threads_of(pids: list[int]) -> int:
    """How many threads these processes have together."""
    count = 0
    for pid in pids:
        try:
            count += len(os.listdir(f"/proc/{pid}/task"))
        except OSError:
            continue
    return count


def files_in_box(pids: list[int]) -> int:
    """How many files a box's places to write hold: an empty one takes memory of the kernel."""
    for pid in reversed(pids):
        try:
            places = [os.statvfs(f"/proc/{pid}/root{place}") for place in PLACES]
        except OSError:
            continue
        return sum(about.f_files - about.f_ffree for about in places)
    return 0
