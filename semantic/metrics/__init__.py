"""Ranks, the metrics of both protocols over them, and tests of significance."""
