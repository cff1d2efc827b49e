"""Where samples come from: tables of samples, readers, splits, audit and the virtual Sun."""
