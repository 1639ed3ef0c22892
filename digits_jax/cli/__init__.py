"""The command line, `digits-jax`: one module a command."""
