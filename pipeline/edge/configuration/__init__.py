"""The configuration folder: settings, the site's reference data, and fingerprints of both."""
