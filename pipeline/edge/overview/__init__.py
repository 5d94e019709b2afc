"""What a person wants to know, combined from the store and the settings; for the desk, the command line and alarms."""
