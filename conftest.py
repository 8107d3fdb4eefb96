"""Set before any test or notebook kernel starts, whichever path pytest is called with."""

import os

os.environ.setdefault("WMLEARN_TIER", "smoke")  # the notebooks finish in seconds
os.environ.setdefault("OMP_NUM_THREADS", "1")  # one worker a core: more threads only fight
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # a notice of every kernel
