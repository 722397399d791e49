import re

import pytest

from semantic.runtime.errors import UserError
from semantic.sweeps.slurm_options import MINUTES, SlurmOptions, parse_options


def test_options_keep_their_names_and_values():
    given = ["partition=gpu", "gpus-per-node=2", "mem_per_cpu=3G", "exclusive", "mail-user=a=b@c"]
    assert parse_options(given).others == {
        "partition": "gpu",
        "gpus_per_node": "2",
        "mem_per_cpu": "3G",
        "exclusive": True,
        "mail_user": "a=b@c",
    }
    assert parse_options([]) == SlurmOptions(MINUTES, {})


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("7", 7),
        ("7:30", 7 + 1),  # rounded up
        ("2:03:00", 2 * 60 + 3),
        ("2:03:01", 2 * 60 + 3 + 1),
        ("3-5", (3 * 24 + 5) * 60),
        ("3-5:7", (3 * 24 + 5) * 60 + 7),
        ("3-05:07:11", (3 * 24 + 5) * 60 + 7 + 1),
    ],
)
def test_every_form_of_a_time_limit_that_slurm_has_is_minutes(text, minutes):
    assert parse_options([f"time={text}"]) == SlurmOptions(minutes, {})


FORM = "expected KEY=VALUE with a long option of sbatch, like partition=gpu"
LIMIT = "expected minutes, hours:minutes:seconds or days-hours, at most a year"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["=gpu"], f"--slurm-option =gpu: {FORM}, got '=gpu'"),
        (["partition="], f"--slurm-option partition=: {FORM}, got 'partition='"),
        (["--partition=gpu"], f"--slurm-option --partition=gpu: {FORM}, got '--partition=gpu'"),
        (["a b=c"], f"--slurm-option a b=c: {FORM}, got 'a b=c'"),
        (["comment=a\n#SBATCH --array=7"], "got 'comment=a\\n#SBATCH --array=7'"),
        (["array=0-7"], "--slurm-option array=0-7: expected an option that a sweep does not set itself, got array"),
        (["open_mode=append"], "expected an option that a sweep does not set itself, got open-mode"),
        (["qos=a", "qos=b"], "--slurm-option qos=b: expected each option once, got qos again"),
        (["mem_per_cpu=1", "mem-per-cpu=2"], "expected each option once, got mem-per-cpu again"),
        (["time=soon"], f"--slurm-option time=soon: {LIMIT}, got 'soon'"),
        (["time"], f"--slurm-option time: {LIMIT}, got ''"),
        (["time=0"], f"{LIMIT}, got '0'"),
        (["time=1:2:3:4"], f"{LIMIT}, got '1:2:3:4'"),
        (["time=367-0"], f"{LIMIT}, got '367-0'"),
        (["time=" + "9" * 5000], f"{LIMIT}, got '999"),
    ],
)
def test_what_is_no_option_of_a_sweep_is_one_line(given, message):
    with pytest.raises(UserError, match=re.escape(message)):
        parse_options(given)


def test_an_answer_of_sbatch_is_about_an_option_where_it_names_it():
    options = parse_options(["partition=gpux", "gpus-per-node=2"])
    assert options.named_in("invalid partition specified: gpux")
    assert options.named_in("Invalid --gpus-per-node specification")
    assert options.named_in("Invalid --time specification")
    assert not options.named_in("Unable to contact slurm controller (connect failure)")
