"""Base classes of the exceptions a command reports in one line; each room derives its own from them."""

INTERRUPTED = 130
"""Exit code of an interrupted command, as of a shell."""


class UserError(ValueError):
    """A fault of what was given: the message says where, what was expected and what was found."""

    exit_code = 2  # of the command line


class DataError(UserError):
    """A fault in the user's data: a file, a folder, or a value in one."""


class FailedError(RuntimeError):
    """Work that could not be finished, though what was given was right; the message says where and what was found."""

    exit_code = 1  # of the command line
