"""Tools of the documentation: its examples are tests, and a part of its reference is generated."""
