"""How good detections are, and how fast the programs run."""
