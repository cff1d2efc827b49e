"""Which images a network sees as similar."""
