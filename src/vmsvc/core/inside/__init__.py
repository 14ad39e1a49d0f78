"""The inside of guests: the ways in, and what is looked at and done there."""
