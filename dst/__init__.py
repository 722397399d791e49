"""What a dialogue state is, and how a model encodes, infers and uses one."""
