"""What Harken means, free of I/O: no clock, no database, no HTTP."""
