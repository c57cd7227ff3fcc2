"""The report in each format; every module escapes foreign text in the way of its format."""
