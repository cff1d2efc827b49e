"""A network that starts Milne-Eddington fits, from its training to its packaged weights."""
