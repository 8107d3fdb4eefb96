"""``python -m wmlearn`` is the ``wmlearn`` command."""

from wmlearn.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
