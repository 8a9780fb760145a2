"""The command `flowledger`. Each command's module is imported when it is called, so that starting stays quick."""
