"""The pages of the desk, one module each, with its routes in ``ROUTES``."""
