"""Mutation tests: faults are put into the code one by one, and the tests must fail for each."""
