"""Vendor dialects: how each manufacturer names regions, quantities and containers, as data (TOML)."""
