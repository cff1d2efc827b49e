"""Which pixels a network's answer rests on."""
