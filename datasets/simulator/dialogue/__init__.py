"""A dialogue between a shopper with a hidden goal and an agent."""
