"""The command line `ai-dev-bench`. No other room imports it."""
