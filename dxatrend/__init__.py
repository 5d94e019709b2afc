"""dxatrend as a program: command line, processes of the service, demonstration."""
