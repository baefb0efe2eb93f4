"""What a history finds, and how fast it answers."""
