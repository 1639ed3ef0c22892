"""Files, progress, devices and compiled programs; no module here depends on the domain."""
