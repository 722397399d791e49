"""Rows of the fault table: sweep --slurm."""

import os

from tests.faults import row

SLURM = "sweep tiny.yaml --set variant=new --slurm"


def no_commands():
    os.environ["PATH"] = ""


ROWS = (
    row(
        "a cluster where there is none",
        SLURM,
        "--slurm: expected SLURM's commands on PATH, found no sbatch, srun, squeue, scontrol",
        code=1,
        inside=no_commands,
    ),
    row(
        "a cluster with a store that is not there",
        f"{SLURM} --set data.store=nowhere",
        "tiny.yaml: 1 fault\n  nowhere: expected ...",
    ),
    row(
        "an option for a cluster without --slurm",
        "sweep tiny.yaml --set variant=new --slurm-option partition=gpu",
        "--slurm-option: expected it beside --slurm, found it alone",
    ),
    row(
        "an option for a cluster without a value",
        f"{SLURM} --slurm-option partition=",
        "--slurm-option partition=: expected KEY=VALUE with a long option of sbatch, like partition=gpu, got 'partition='",
    ),
    row(
        "an option for a cluster with lines of its own",
        f"{SLURM} --slurm-option 'comment=a\n#SBATCH --array=7'",
        "--slurm-option comment=a\\n#SBATCH --array=7: expected KEY=VALUE with a long option of sbatch, like partition=gpu, got "
        "'comment=a\\n#SBATCH --array=7'",
    ),
    row(
        "an option for a cluster that the sweep sets",
        f"{SLURM} --slurm-option array=0-7",
        "--slurm-option array=0-7: expected an option that a sweep does not set itself, got array",
    ),
    row(
        "an option for a cluster twice",
        f"{SLURM} --slurm-option qos=a --slurm-option qos=b",
        "--slurm-option qos=b: expected each option once, got qos again",
    ),
    row(
        "a time limit that is none",
        f"{SLURM} --slurm-option time=tomorrow",
        "--slurm-option time=tomorrow: expected minutes, hours:minutes:seconds or days-hours, at most a year, got 'tomorrow'",
    ),
    row("no job of a cluster at a time", f"{SLURM} --jobs 0", "Invalid value for '--jobs': ..."),
    row("a cluster's runs by a dry run", f"{SLURM} --dry-run", "", code=0, inside=no_commands),
)
