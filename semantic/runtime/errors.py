"""The one exception of this folder."""


class DataError(ValueError):
    """A fault of the user's data. The message says where, what was expected and what was found."""

    exit_code = 2  # of the command line
