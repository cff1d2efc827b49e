"""Search for network architectures with SMAC."""
