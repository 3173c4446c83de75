"""Where every inspection is kept: its row in a database, its photo and overlay in a store."""
