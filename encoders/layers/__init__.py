"""Layers and masked reductions that encoders are made of."""
