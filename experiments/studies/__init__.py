"""One question a module, with its command and result."""
