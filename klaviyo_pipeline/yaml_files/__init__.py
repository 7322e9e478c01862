"""YAML files that people write: values with positions, problems with line and column, edits that keep the rest."""
