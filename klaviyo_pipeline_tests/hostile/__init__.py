"""Servers that misbehave, for tests of everything that talks to one."""
