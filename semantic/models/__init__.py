"""One interface, and the methods that implement it."""
