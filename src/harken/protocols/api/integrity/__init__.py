"""Routes of `/integrity`: alerts, and what is set aside."""
