"""What a run asks, how large it must be, how long it takes and what it costs. Nothing is asked here."""
