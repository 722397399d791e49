"""Where a search is kept: an Optuna study in a database or a journal, and whose study it is."""

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from semantic.config.schema import Config
from semantic.config.search_space import Space
from semantic.config.sweep_schema import SearchSection
from semantic.runs.folder import RunError, features_digest, lasting
from semantic.runtime.errors import FailedError
from semantic.runtime.files import replacing

FILE = "tune.db"
"""The study of an experiment, in the folder of its runs, where no other storage is named."""

HEARTBEAT, GRACE = 60, 300
"""Seconds between the signs of life of a trial, and after how many without one it is taken for dead."""

WAITING = 60
"""Seconds for which a database that another process writes to is waited for."""

MADE_OF = "semantic"
"""The attribute of a study that says what it searches."""


class StorageError(FailedError):
    """A study's storage that failed while a search was under way; the message says how."""


def identity(base: Config, search: SearchSection, space: Space, store: str) -> dict[str, Any]:
    """What all trials of a study have in common, by dotted key, as JSON holds it: the base configuration without what is
    searched, the search, and the digests of the store and of image features.
    """
    searched = tuple(f"{one.field}." for one in space)
    found = {
        key: value
        for key, value in lasting(base).items()
        if key not in ("experiment", "variant") and not f"{key}.".startswith(searched)
    }
    found |= {f"search.{key}": value for key, value in search.model_dump(mode="json").items() if key != "space"}
    found |= {f"search.space.{one.field}": one.describe() for one in space}
    found |= {"content of data.store": store[:12], "content of model.image.features": features_digest(base)}
    return json.loads(json.dumps(found))


def open_study(
    name: str, storage: str | None, folder: Path, made_of: Mapping[str, Any]
) -> tuple[optuna.Study, BaseStorage]:
    """The study of a search, made where there is none, and its storage; by default `tune.db` in the experiment's folder.

    `storage` is a URL of SQLAlchemy, or the path of a journal: a file on a disk that machines share. The caller has claimed
    the study.

    Raises:
        RunError: the storage cannot be used; or the study there searches something else, which the message names.
    """
    shown = _shown(storage, folder)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with _faults(shown):
        if storage is None:
            file = folder / FILE
            if not file.exists():
                with replacing(file) as partial:  # a study is there whole, or not at all
                    made = _database(_sqlite(partial))
                    _make(name, made, made_of)
                    made.engine.dispose()
            opened: BaseStorage = _database(_sqlite(_checked(file, b"SQLite format 3\0", "a study's database")))
        elif "://" in storage:
            opened = _database(storage)
        else:
            file = _checked(Path(storage), b"{", "a study's journal")
            file.parent.mkdir(parents=True, exist_ok=True)
            opened = JournalStorage(JournalFileBackend(str(file)))
        study = _make(name, opened, made_of)
        found = study.user_attrs.get(MADE_OF)
    if not isinstance(found, Mapping):
        raise RunError(f"{shown}: expected a study {name!r} of semantic tune, found another one's")
    differing = [key for key in dict.fromkeys((*made_of, *found)) if found.get(key) != made_of.get(key)]
    if differing:
        lines = "; ".join(f"{key}: expected {found.get(key)!r}, got {made_of.get(key)!r}" for key in differing)
        raise RunError(
            f"{shown}: expected what the study was begun with to go on with it; {lines}; another experiment "
            "(--set experiment=NAME) is another study"
        )
    return study, opened


def _make(name: str, storage: BaseStorage, made_of: Mapping[str, Any]) -> optuna.Study:
    """The study of this name; a new one says what it is made of."""
    study = optuna.create_study(study_name=name, storage=storage, direction="maximize", load_if_exists=True)
    if MADE_OF not in study.user_attrs and not study.trials:
        study.set_user_attr(MADE_OF, dict(made_of))
    return study


def _database(url: str) -> RDBStorage:
    local = make_url(url).get_backend_name() == "sqlite"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of heartbeats
        return RDBStorage(
            url,
            {"connect_args": {"timeout": WAITING}} if local else {"pool_pre_ping": True},
            heartbeat_interval=HEARTBEAT,
            grace_period=GRACE,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=True),
        )


def _sqlite(file: Path) -> str:
    """The URL of a file; braces stand for something else in Optuna's."""
    url = URL.create("sqlite", database=str(file)).render_as_string(hide_password=False)
    return url.replace("{", "{{").replace("}", "}}")


def _checked(file: Path, opening: bytes, what: str) -> Path:
    """The file, which is not there, is empty, or begins as such a file does."""
    if file.exists():
        if not file.is_file():
            raise RunError(f"{file}: expected {what}, found no file")
        with file.open("rb") as stream:
            found = stream.read(len(opening))
        if found not in (b"", opening):
            raise RunError(f"{file}: expected {what}, found another file")
    return file


def _shown(storage: str | None, folder: Path) -> str:
    """The storage in a message: without a password."""
    if storage is None or "://" not in storage:
        return str(folder / FILE) if storage is None else storage
    try:
        return make_url(storage).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return "--storage"


@contextmanager
def _faults(shown: str) -> Iterator[None]:
    """Errors of a storage that is opened, as faults of what was given."""
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.OptunaError, ImportError, RuntimeError, json.JSONDecodeError) as error:
        if isinstance(error, FailedError):
            raise
        raise RunError(f"{shown}: expected a storage that can be used, got {_first_line(error)}") from None


@contextmanager
def lasting_storage(shown: str) -> Iterator[None]:
    """Errors of a storage that was open, as a failure that is not the user's."""
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise StorageError(f"{shown}: expected the study's storage to answer, got {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    found = error.__cause__ or error
    return " ".join(str(getattr(found, "orig", None) or found).split())[:300] or type(found).__name__
