"""Studies: one question a module, with the command that answers it and where the result is."""
