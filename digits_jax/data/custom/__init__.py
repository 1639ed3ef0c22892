"""Digits of one's own: the formats that are read, their framing, and their splits."""
