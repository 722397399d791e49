"""The fault of a configuration."""

from semantic.runtime.errors import UserError


class ConfigError(UserError):
    """Faults of an experiment's configuration: all of them, one a line, each with where, expected and found."""
