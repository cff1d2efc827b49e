"""The generator of scenes: what the Sun shows, and what a camera makes of it (synthetic)."""
