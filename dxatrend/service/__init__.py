"""The processes of the service: worker, supervisor, and what they need of the machine."""
