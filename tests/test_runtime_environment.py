"""What a run records of its surroundings: machine, versions, and the revision of the checkout."""

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import semantic
from semantic.runtime import environment as module
from semantic.runtime.environment import environment
from semantic.runtime.revision import Revision, revision


def test_the_environment_names_what_the_numbers_depend_on(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/semantic", "train", "tiny.yaml"])
    found = environment(5, processes=3)

    assert (found["seed"], found["processes"]) == (5, 3)
    assert environment(5)["processes"] == 1
    assert found["cores"] == os.cpu_count()
    assert found["cpu"]
    assert found["command"] == "semantic train tiny.yaml"
    assert found["packages"]["semantic"] == semantic.__version__
    for name in ("torch", "numpy", "transformers", "psutil"):
        assert found["packages"][name] == metadata.version(name)
    assert "pytest" not in found["packages"]  # of the tests, not of a run
    assert json.loads(json.dumps(found)) == found


def test_a_package_without_metadata_is_null(monkeypatch):
    monkeypatch.setattr(
        metadata, "requires", lambda _: ["numpy>=1.26", "no-such-package-here>=1", "pytest; extra == 'test'"]
    )
    assert environment(0)["packages"] == {
        "semantic": semantic.__version__,
        "numpy": metadata.version("numpy"),
        "no-such-package-here": None,
    }


@pytest.mark.parametrize(
    ("found", "recorded"), [(None, None), (Revision("a" * 40, True), {"commit": "a" * 40, "changed": True})]
)
def test_the_revision_is_in_the_record_where_there_is_one(monkeypatch, found, recorded):
    monkeypatch.setattr(module, "revision", lambda: found)
    assert environment(0)["git"] == recorded


# The revision.


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("there is no git here")
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "file").write_text("one")
    git(folder, "add", "file")
    git(folder, "commit", "--quiet", "-m", "One")
    return folder


def test_a_revision_is_the_commit_and_whether_tracked_files_differ(checkout):
    git(checkout, "tag", "-a", "v1-dirty", "-m", "a tag is no commit")
    head = git(checkout, "rev-parse", "HEAD")
    assert revision(checkout) == Revision(head, changed=False)
    (checkout / "notes").write_text("git does not track this")
    assert revision(checkout) == Revision(head, changed=False)
    (checkout / "file").write_text("two")
    assert revision(checkout) == Revision(head, changed=True)


def test_a_checkout_without_a_commit_has_no_revision(checkout):
    shutil.rmtree(checkout / ".git")
    git(checkout, "init", "--quiet")
    assert revision(checkout) is None


def test_a_package_installed_inside_another_projects_checkout_has_no_revision(checkout):
    inside = checkout / ".venv" / "site-packages"
    inside.mkdir(parents=True)
    assert revision(inside) is None


def test_inside_a_git_hook_the_revision_is_still_of_the_checkout(checkout, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    head = git(checkout, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert revision(checkout) == Revision(head, changed=False)


def test_a_machine_without_git_has_no_revision(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert revision(checkout) is None


def test_git_that_does_not_answer_in_time_is_given_up(checkout, tmp_path, monkeypatch):
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(slow.parent))
    monkeypatch.setattr("semantic.runtime.revision.SECONDS", 0.2)
    assert revision(checkout) is None
