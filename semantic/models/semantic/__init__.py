"""SeMANTIC: the method of the paper, and the one for small data."""
