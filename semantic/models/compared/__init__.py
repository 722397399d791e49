"""The methods that the paper compares SeMANTIC with (Table 2), each readable in its own file."""
