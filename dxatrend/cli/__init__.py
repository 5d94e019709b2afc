"""The command line: one file per subject; each parses, asks the package that does the work, and prints."""
