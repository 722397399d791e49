"""A trained model at work: recommendations for one dialogue."""
