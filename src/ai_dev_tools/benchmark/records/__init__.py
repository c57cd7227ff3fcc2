"""What a run keeps in files, as models, and where these files are."""
