"""What every layer may use: types, errors, options, the clock, disk access. Imports the standard library only."""
