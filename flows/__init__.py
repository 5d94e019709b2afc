"""When, and how often: Prefect flows, the processes that run them, and the command line."""
