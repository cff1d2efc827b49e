"""All drawing; the only place that imports matplotlib."""
