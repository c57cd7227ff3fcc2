"""The report in each format; each module escapes untrusted text for its format."""
