"""The Solar Dynamics Observatory."""
