"""What the Snakefile needs: `flow.Flow` answers its rules."""
