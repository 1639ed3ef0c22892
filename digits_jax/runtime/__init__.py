"""Files, progress, devices and compiled programs: nothing here knows of digits."""
