"""The way in, for `python -m imagemill`, the console script and the frozen program alike.

Pool children re-import this module, and in the frozen program they start in it: so `freeze_support` runs first and
turns them off before anything heavy is imported (PyInstaller's manual, "Multi-processing").
"""

from __future__ import annotations

import gc
import multiprocessing
import sys


def main() -> None:
    """Run one verb and end with its exit code."""
    multiprocessing.freeze_support()
    from imagemill import cli

    code = cli.main()
    gc.freeze()  # at its end the interpreter looks for garbage in all that was ever loaded: a quarter of an empty run
    sys.exit(code)


if __name__ == "__main__":
    main()
