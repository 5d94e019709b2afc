"""Receive objects from scanners: the listener (Storage SCP), access control, and group commit."""
