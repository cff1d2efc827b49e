"""Classical physics in float64; home of the line, field, telescope and GOES response models."""
