"""Tables of numbers, each with its source, date and unit."""
