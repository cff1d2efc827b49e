"""The virtual Sun, whose best possible forecast is known exactly."""
