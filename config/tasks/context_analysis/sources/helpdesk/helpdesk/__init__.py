"""Ticket routing for a small support team."""
