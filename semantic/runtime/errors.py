"""Faults that end a command with one line: the user's, and failures of another kind."""


class UserError(ValueError):
    """A fault of what was given. The message says where, what was expected and what was found."""

    exit_code = 2  # of the command line


class DataError(UserError):
    """A fault of the user's data."""


class FailedError(RuntimeError):
    """A failure that is not the user's fault. The message says where and what was found; what was written stays."""

    exit_code = 1  # of the command line
