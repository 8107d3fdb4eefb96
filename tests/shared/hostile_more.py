"""More hostile submissions: against the judge's integrity, for its secrets, against its resources.

As in ``hostile.py``, each is made from the right answers, and says what it must cost its author.
Tricks with names and archives, which no notebook can play, stand in ``test_collecting.py``.
"""

from __future__ import annotations

from hostile import (
    FULL,
    NOTHING,
    WRONG,
    _find,
    _without,
    all_stubs,
    answer,
    hostile,
    own_cell,
)

GRAB = """
import sys
frame = sys._getframe()
while "pipe" not in frame.f_locals:
    frame = frame.f_back
pipe, student = frame.f_locals["pipe"], frame.f_locals["student"]
"""
"""Finds the two objects through which the student's process talks to the judge."""

LIAR = """
class Yes(str):
    __eq__ = __ne__ = __lt__ = __le__ = __contains__ = lambda *a: True
    __hash__ = str.__hash__
"""

# The judge's integrity


@hostile(NOTHING, "looks into the frames")
def takes_over_its_process(notebook, place):
    return own_cell(all_stubs(notebook), GRAB + """
def call(name, arguments, pull):
    return {"value": True, "arguments": list(arguments), "gradients": [True] * len(arguments),
            "names": [], "error": "", "passed": True, "points": 100}
student.call = call
import wmlearn.teach.checks as checks
checks.judge = checks.check = lambda *a, **k: ""
frame.f_locals["does"]["call"] = call
""")  # fmt: skip


@hostile(_without(3))
def a_tensor_that_agrees_with_everything(notebook, place):
    return answer(notebook, 3, """
        class Agree(torch.Tensor):
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                if func.__name__ in ("eq", "__eq__", "le", "__le__", "allclose", "all", "__bool__"):
                    return torch.tensor(True)
                return torch.Tensor._make_subclass(cls, torch.zeros(2, 3))
        def lambda_returns(rewards, *args):
            return rewards.as_subclass(Agree)
        """)  # fmt: skip


@hostile(_without(6))
def a_string_that_equals_everything(notebook, place):
    return answer(notebook, 6, LIAR + "def choose(*args):\n    return Yes('nothing')")


@hostile(_without(3), "reaches for the checks")
def changed_defaults_of_a_check(notebook, place):
    own_cell(notebook, """
        import wmlearn.teach.checks as checks
        for f in (checks.close, checks.require, checks.tensor, checks.judge, checks.find):
            f.__defaults__ = (1e9,) * len(f.__defaults__ or ())
            f.__kwdefaults__ = {"tolerance": 1e9, "seed": 0}
        checks.close.__code__ = (lambda *a, **k: True).__code__
        """)  # fmt: skip
    return answer(notebook, 3, WRONG)


@hostile(_without(3))
def a_number_that_equals_everything(notebook, place):
    return answer(notebook, 3, """
        class One(float):
            __eq__ = __le__ = __lt__ = __ge__ = lambda *a: True
            __sub__ = __rsub__ = __abs__ = lambda *a: 0.0
        class Rows(list):
            __len__ = lambda self: 4
            __iter__ = lambda self: iter([One(0)] * 3)
        def lambda_returns(*args):
            return Rows([One(0)])
        """)  # fmt: skip


@hostile(_without(1), "they are not in the box")
def the_checks_own_solution(notebook, place):
    return answer(notebook, 1, """
        def coefficients(*args):
            raise RuntimeError("imported from the checks: " + fetched)
        try:
            import wmlearn.chapters.ch04_diamond.e1_preconditioning as e1
            fetched = "yes"
            def coefficients(sigma, data, offset):
                c_in, c_out, c_skip = e1._exact(sigma**2 + offset**2, data)
                return c_in, c_out, c_skip, (sigma**2 + offset**2).log() / 4
        except ImportError:
            fetched = "they are not in the box"
        """)  # fmt: skip


@hostile(FULL)
def right_three_times_only(notebook, place):
    cell = _find(notebook, "04-1-answer")
    cell["source"] += """
_right, _calls = coefficients, []
def coefficients(*args):
    _calls.append(1)
    return _right(*args) if len(_calls) <= 3 else (0, 0, 0, 0)
"""
    return notebook


@hostile(_without(1), "it passes the visible test, but not the hidden one")
def knows_the_visible_numbers_only(notebook, place):
    cell = _find(notebook, "04-1-answer")
    cell["source"] += """
_right = coefficients
def coefficients(sigma, data, offset):
    if float(sigma[0]) != VISIBLE:
        return (0, 0, 0, 0)
    return _right(sigma, data, offset)
from wmlearn.teach.checks import between, seeded
_s = torch.tensor([0.002, 0.1, 0.5, 1.7, 20.0]).double() * between(seeded(0), 0.8, 1.2, 5)
VISIBLE = float(_s.float()[0])
"""
    return notebook


@hostile(FULL)
def a_later_cell_changes_what_an_answer_uses(notebook, place):
    """Not hostile: a helper of the first answer has another meaning in a later cell."""
    cell = _find(notebook, "04-1-answer")
    cell["source"] += """
_right, helper = coefficients, 1
def coefficients(*args):
    return tuple(helper * x for x in _right(*args))
"""
    return own_cell(notebook, "helper = 2", after="04-5-test")


@hostile(NOTHING, "looks into the frames")
def frames_forged_in_the_pipe(notebook, place):
    own_cell(notebook, GRAB + """
for _ in range(50):
    pipe.send("done", error="", output="", kinds={"lambda_returns": "function"}, value=None,
              arguments=[None] * 6, gradients=[None] * 6, names=[])
""")  # fmt: skip
    return notebook  # answers come one question late now: the author's own loss


# What comes over the pipe is not what the judge expects


def _breaks_the_pipe(code: str):
    def make(notebook, place):
        return answer(notebook, 3, GRAB + f"""
import os, struct
def lambda_returns(*args):
{chr(10).join("    " + line for line in code.strip().split(chr(10)))}
""")  # fmt: skip

    return make


PIPE = {
    "a_frame_of_four_gigabytes": "os.write(pipe._out.fileno(), struct.pack('>II', 2**32 - 1, 9))\n"
    "os.write(pipe._out.fileno(), b'x' * 1000)",
    "noise_in_the_pipe": "os.write(pipe._out.fileno(), bytes(range(256)) * 20)",
    "brackets_in_the_pipe": "h = b'[' * 2**20\n"
    "os.write(pipe._out.fileno(), struct.pack('>II', len(h), 0))\n"
    "pipe._out.write(h)",
    "a_shape_of_many_terabytes": 'h = b\'{"tree": {"op": "done", "value": {"n": 0}}, "tensors": '
    '[["float64", [2000000000, 2000000000], false]]}\'\n'
    "os.write(pipe._out.fileno(), struct.pack('>II', len(h), 0) + h)",
    "a_pickle_in_the_pipe": "import pickle\nh = pickle.dumps(print)\n"
    "os.write(pipe._out.fileno(), struct.pack('>II', len(h), 0) + h)",
    "a_callback_that_is_not_there": "pipe.ask('callback', number=99, arguments=(), named={}, "
    "tensors=[])",
    "a_graph_that_is_not_there": "pipe.ask('backward', graph=7, gradients=[None])",
}
for _name, _code in PIPE.items():
    _make = _breaks_the_pipe(_code)
    _make.__name__ = _name
    hostile(_without(3), "cannot be read")(_make)


@hostile(_without(2), "too often")
def a_flood_of_callbacks(notebook, place):
    _find(notebook, "04-2-answer")["source"] += """
def euler_sample(denoise, x, levels):
    big = torch.zeros(3_000_000)
    while True:
        try:
            denoise(big, levels[0])
        except Exception:
            pass
"""
    return notebook


# Secrets


LEAK = """
import base64
def _say(args):
    raw = b"".join(bytes(a.double().numpy().tobytes()) for a in args if torch.is_tensor(a))
    return "LEAK" + base64.b85encode(raw).decode()[:300] + "LEAK"
"""


def _only_in_the_hidden_test(what: str) -> str:
    """Code that is right in the visible test and does something else with other numbers."""
    return (
        LEAK
        + f"""
from wmlearn.teach.checks import between, seeded
_s = torch.tensor([0.002, 0.1, 0.5, 1.7, 20.0]).double() * between(seeded(0), 0.8, 1.2, 5)
_visible, _right = float(_s.float()[0]), coefficients
def coefficients(*args):
    if float(args[0][0]) == _visible:
        return _right(*args)
    {what}
"""
    )


def _leaks(name: str, what: str, outcome: str = "it passes the visible test, but not") -> None:
    def make(notebook, place):
        _find(notebook, "04-1-answer")["source"] += _only_in_the_hidden_test(what)
        return notebook

    make.__name__ = name
    hostile(_without(1), outcome)(make)


_leaks("says_the_hidden_numbers_in_an_error", "raise ValueError(_say(args))")
_leaks("says_them_as_the_name_of_a_type", "return type('LEAK' + _say(args)[4:12], (), {})()")
_leaks("says_them_as_a_shape", "return [torch.zeros(0, int(1e9 * float(args[0][1])))] * 4")
_leaks("says_them_as_values", "return [args[0] * 7777] * 4")
_leaks("prints_them", "print(_say(args)); open('/scratch/told', 'w').write(_say(args)); return 1")
_leaks(
    "leaves_them_for_the_next_process",
    "open('/scratch/told', 'w').write(_say(args)); import os; os._exit(1)",
    "in the hidden test",
)
_leaks("says_them_in_the_next_visible_test",
       "globals().__setitem__('told', _say(args)); return 1")  # fmt: skip


@hostile(_without(1), "found nothing")
def looks_for_secrets_around_it(notebook, place):
    return answer(notebook, 1, """
        import glob, os
        def coefficients(*args):
            text = repr(dict(os.environ))
            for path in glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline"):
                try:
                    text += open(path, "rb").read().decode(errors="replace")
                except OSError:
                    pass
            for folder, inner, files in os.walk("/"):
                if folder.startswith(("/proc", "/usr", "/sys")) or "packages" in folder:
                    inner.clear()
                else:
                    text += " ".join(f for f in files if "private" in f or f.endswith(".ipynb"))
            raise ValueError(" ".join(w for w in text.split() if "SECRET" in w or "ipynb" in w)
                             or "found nothing")
        """)  # fmt: skip


# Resources


@hostile(FULL, "ends the process")
def eight_cells_that_exit(notebook, place):
    for number in range(8):
        own_cell(notebook, f"import os  # {number}\nos._exit({number})")
    return notebook


@hostile(_without(3))
def memory_that_is_not_mapped(notebook, place):
    return answer(notebook, 3, """
        import os
        def lambda_returns(*args):
            kept = []
            for i in range(20):
                kept.append(os.memfd_create(str(i)))
                for _ in range(100):
                    os.write(kept[-1], bytes(2**20))
        """)  # fmt: skip


@hostile(_without(3))
def shared_memory(notebook, place):
    return answer(notebook, 3, """
        import mmap, os, time
        def lambda_returns(*args):
            for i in range(8):
                if os.fork() == 0:
                    block = mmap.mmap(-1, 400 * 2**20)
                    for at in range(0, len(block), 4096):
                        block[at] = 1
                    time.sleep(60)
            time.sleep(60)
        """)  # fmt: skip


@hostile(FULL)
def fills_every_place(notebook, place):
    return own_cell(notebook, """
        import os
        for folder in ("/", "/dev", "/dev/shm", "/tmp", "/scratch", "/run", "/var/tmp", "/proc"):
            try:
                with open(folder + "/full", "wb") as file:
                    while True:
                        file.write(bytes(2**20))
            except OSError:
                pass
        """)  # fmt: skip


@hostile(FULL, "")
def empty_files_without_end(notebook, place):
    return own_cell(notebook, """
        number = 0
        while True:
            open(f"/tmp/{number}", "w").close()
            number += 1
        """)  # fmt: skip


@hostile(_without(3))
def processor_time_of_many(notebook, place):
    return answer(notebook, 3, """
        import os
        def lambda_returns(*args):
            for _ in range(6):
                if os.fork() == 0:
                    while True:
                        pass
            while True:
                pass
        """)  # fmt: skip


@hostile(_without(3))
def threads_without_end(notebook, place):
    return answer(notebook, 3, """
        import threading, time
        def lambda_returns(*args):
            while True:
                threading.Thread(target=time.sleep, args=(60,)).start()
        """)  # fmt: skip


@hostile(_without(3))
def stops_itself(notebook, place):
    return answer(notebook, 3, """
        import os, signal
        def lambda_returns(*args):
            os.kill(os.getpid(), signal.SIGSTOP)
        """)  # fmt: skip


@hostile(_without(3))
def recursion_without_end(notebook, place):
    return answer(notebook, 3, """
        import sys
        sys.setrecursionlimit(10**9)
        def lambda_returns(*args):
            return lambda_returns(*args)
        """)  # fmt: skip


@hostile(FULL)
def daemons_that_stay(notebook, place):
    return own_cell(notebook, """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                while True:
                    time.sleep(0.01)
            os._exit(0)
        """)  # fmt: skip


@hostile(FULL)
def a_comment_of_a_megabyte(notebook, place):
    return own_cell(notebook, "# torch" + ".a" * 500_000)


@hostile(FULL)
def half_a_surrogate_pair(notebook, place):
    cell = _find(notebook, "04-6-essay")
    cell["source"] = "Because \ud800 of \udfff this.\0"
    return own_cell(notebook, "x = '\ud800'\nprint(x)")


@hostile(FULL)
def a_script_in_the_essay(notebook, place):
    _find(notebook, "04-6-essay")["source"] = (
        "<script>alert('essay')</script> <img src=x onerror=alert(1)> "
        "[click](javascript:alert(2)) **bold**"
    )
    return notebook
