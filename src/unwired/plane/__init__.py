"""Adapters that make many agents one: carriers of state synchronization, routing daemons, the supervisor."""
