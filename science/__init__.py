"""Commands that explain, invert and embed; they read finished runs and write no networks."""
