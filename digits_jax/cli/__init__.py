"""The command line, `digits-jax`: one module for each command."""
