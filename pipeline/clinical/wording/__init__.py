"""Every sentence of an addendum, by section, each with its rule."""
