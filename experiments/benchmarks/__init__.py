"""Speed and memory, beside others."""
