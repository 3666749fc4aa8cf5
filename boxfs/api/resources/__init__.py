"""The endpoints of BoxClient, grouped as Box groups them: one class a group, one method an endpoint."""
