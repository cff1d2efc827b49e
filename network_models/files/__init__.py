"""Networks in files: loaded without running anything that they bring along."""
