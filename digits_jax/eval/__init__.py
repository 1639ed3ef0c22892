"""Metrics of detection, and throughput of the programs."""
