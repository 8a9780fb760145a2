"""SQL: job type `flowledger:sql`. Statements are text of the model, what varies are parameters."""
