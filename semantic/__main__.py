"""The console script, and `python -m semantic`, the form in which torchrun and accelerate launch start it.

It imports nothing heavy before an interrupt has an answer.
"""

import os
import signal
import sys
from types import FrameType

from semantic.runtime.errors import INTERRUPTED


def main() -> None:
    """Run a command."""
    # A process that was started deaf to interrupts, as a shell's background jobs are, stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)
    from semantic.cli.app import main as run

    run()


def _interrupted(_number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, but end at once while a module is imported.

    There C code may turn the interrupt into an ImportError, or drop it and leave half a module behind.
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os.write(2, b"interrupted\n")
            os._exit(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
