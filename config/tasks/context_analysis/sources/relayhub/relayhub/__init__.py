"""Home automation hub for relays, sensors and scenes."""
