"""Experiment files that tests write, and the faults of a configuration."""

import pytest

from semantic.config.errors import ConfigError
from semantic.config.loading import make_config


def written(tmp_path, text, name="mine.yaml"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return str(tmp_path / name)


def faults_of(values, overrides=()):
    """The lines of a configuration's faults, without their indent."""
    with pytest.raises(ConfigError) as raised:
        make_config(values, overrides)
    first, *lines = str(raised.value).splitlines()
    assert first == f"configuration: {len(lines)} fault{'s' * (len(lines) > 1)}"
    assert all(line.startswith("  ") for line in lines)
    return [line[2:] for line in lines]
