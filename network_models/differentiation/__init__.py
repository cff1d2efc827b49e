"""Gradients, graph walk and reverse pass: what explanations are made of."""
