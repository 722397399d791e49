"""Errors, files, progress, processes, memory and environment. Every other package may import this one; it imports none."""
