from importlib.util import find_spec

# The browser tests need a package that only they need.
collect_ignore = [] if find_spec("playwright") else ["ui"]
