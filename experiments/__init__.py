"""Experiment files (YAML), one per table or figure."""
