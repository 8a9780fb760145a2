"""MongoDB, and what speaks as it does: job type `flowledger:mongodb`."""
