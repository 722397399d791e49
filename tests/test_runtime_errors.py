"""Exceptions that a command reports in one line: whose fault each is, and the exit code that follows from it."""

import pickle

import pytest

from semantic.bench.alone import BenchError
from semantic.config.errors import ConfigError
from semantic.datasets.preparing.workers import WorkersError
from semantic.encoders.image import BackboneError
from semantic.evaluation.ranking import ScoreError
from semantic.models.saving import ModelError
from semantic.models.semantic.released import ReleasedError
from semantic.models.text_checkpoints import CheckpointError
from semantic.runs.folder import RunError
from semantic.runtime.errors import DataError, FailedError, UserError
from semantic.training.run import TrainingError


@pytest.mark.parametrize(
    "kind", [BackboneError, CheckpointError, ConfigError, DataError, ModelError, ReleasedError, RunError]
)
def test_faults_of_what_was_given_are_values_and_end_in_exit_code_2(kind):
    assert issubclass(kind, UserError)
    assert issubclass(kind, ValueError)
    assert kind.exit_code == 2


@pytest.mark.parametrize("kind", [BenchError, ScoreError, TrainingError, WorkersError])
def test_failures_of_the_work_end_in_exit_code_1(kind):
    assert issubclass(kind, FailedError)
    assert issubclass(kind, RuntimeError)
    assert not issubclass(kind, UserError)
    assert kind.exit_code == 1


@pytest.mark.parametrize("kind", [UserError, FailedError, ConfigError, TrainingError])
def test_an_exception_keeps_its_kind_and_message_on_the_way_to_another_process(kind):
    sent = pickle.loads(pickle.dumps(kind("store: expected a folder, found a file")))
    assert type(sent) is kind
    assert str(sent) == "store: expected a folder, found a file"
