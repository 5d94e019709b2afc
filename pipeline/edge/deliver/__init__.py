"""Deliver addenda to each destination (Storage SCU), and report storage commitment to scanners."""
