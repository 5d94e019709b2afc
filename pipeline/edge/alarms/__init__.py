"""Alarms: conditions that need a person, their states, and the messages about them, with retry until they are out."""
