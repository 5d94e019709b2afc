"""dxatrend as a program: the command line, the processes of the service, and the demonstration."""
