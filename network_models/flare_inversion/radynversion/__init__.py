"""An invertible network between atmospheres and line profiles."""
