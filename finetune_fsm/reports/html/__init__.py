"""Pages that stand alone: one file, no script, no request to anywhere, every text only text."""
