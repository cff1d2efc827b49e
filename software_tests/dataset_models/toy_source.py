"""What sources of images that tests make have in common: they read no file."""


class ToySource:
    """No summary, nothing mended."""

    mended = ()

    def summary(self):
        """Return nothing."""
