"""The only place that knows SQL. `tables` says what is kept, `engine` opens it, the other modules each answer one subject's questions."""
