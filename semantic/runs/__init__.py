"""A run's folder: what it leaves there, and how that is read again."""
