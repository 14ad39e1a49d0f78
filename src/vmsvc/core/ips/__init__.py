"""Addresses of services: checked from outside and from inside of their guests, or configured on the node itself."""
