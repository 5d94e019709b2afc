"""The command line, one module per subject: it parses and prints; the packages below do the work."""
