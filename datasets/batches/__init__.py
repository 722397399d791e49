"""Tensors of contexts, products and candidates."""
