"""How fast this machine runs the method, beside the direct form of the same function: `semantic bench`."""
