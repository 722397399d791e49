"""Readers: they turn the dialogue and product files of MMD and SIMMC into records.

Read `records` first, then `faults`, `files`, `text` and `turns`, which all layouts share; then `mmd` (with `mmd_catalogue` and
`mmd_states`) and `simmc`; then `corpus`, which picks the reader of a folder. `merging` joins turns of one speaker.
"""
