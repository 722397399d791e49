"""The direct form of both methods: the same functions in the order of computation of the code published with the paper."""
