"""Rankings that a method must beat to show anything: those that learn nothing, and a bag of words that learns."""
