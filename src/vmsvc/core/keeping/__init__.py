"""Keeping services up: what this node has brought up, what must not start, and what is started again."""
