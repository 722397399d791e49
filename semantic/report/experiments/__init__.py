"""The report of an experiment: the paper's table or figure from the runs of a plan, with the published values beside."""
