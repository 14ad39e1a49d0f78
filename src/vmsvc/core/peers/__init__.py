"""Peers: the other nodes of a service, and what is asked of them."""
