"""Labelled single-channel scenes for image classification."""
