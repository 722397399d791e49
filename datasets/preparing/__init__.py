"""Preparing: the files of a corpus are turned into a prepared store.

Read `prepare` first, the entry point; then `products` and `photos`; then `dialogues`, `parsing` and `resolving`.
`workers` runs work of both in worker processes.
"""
