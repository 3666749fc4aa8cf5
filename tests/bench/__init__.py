"""The bench itself, the call budgets of its rows, and measurements that are run by hand."""
