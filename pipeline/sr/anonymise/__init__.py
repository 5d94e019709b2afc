"""Make a received report anonymous: identity replaced consistently, everything else kept, and both checked."""
