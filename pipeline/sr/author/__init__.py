"""Author the addendum: a Comprehensive or Enhanced SR document from an interpretation, and read it back."""
