"""What a network's filters respond to."""
