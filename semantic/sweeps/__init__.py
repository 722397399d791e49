"""Sweeps: the cells of an experiment, each a run's folder, trained side by side and in pieces."""
