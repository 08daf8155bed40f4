"""What must survive a restart: the binding journal."""
