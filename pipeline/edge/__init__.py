"""What can time out, fill up or be locked: sockets, the database, settings, the clock."""
