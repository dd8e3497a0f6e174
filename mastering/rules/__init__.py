"""The rules, pure: no clock, no database, no network. What is decided here is decided nowhere else."""
