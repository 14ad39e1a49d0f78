"""The steps of a plan are done, one after the other: locked, journalled, within budgets, taken back if one fails."""
