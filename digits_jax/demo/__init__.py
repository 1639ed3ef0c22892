"""The page of `digits-jax demo`."""
