"""Bookings for the island ferries."""
